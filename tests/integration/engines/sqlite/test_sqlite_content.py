"""What dumps of files hold of each table."""

import sqlite3
from contextlib import closing

import pytest

from fixtures.sqlite_data import VALUES, make
from fixtures.sqlite_files import SqliteFiles
from holdfast.contracts.drills import Content, ContentReadable
from holdfast.contracts.engine import Member
from holdfast.domain.errors import EvidenceMissing, NotSupported


def content_of(files: SqliteFiles, name: str, piece: int = 1 << 16) -> dict[str, Content]:
    taken = files.take(name)
    (member,) = taken.dump.members
    text = b"".join(taken.fetch(member.name))
    chunks = (text[at : at + piece] for at in range(0, len(text), piece))
    return dict(files.engine.content(member, chunks))


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le"])
def test_a_restored_file_has_the_same_content(sqlite_files: SqliteFiles, encoding: str) -> None:
    assert isinstance(sqlite_files.engine, ContentReadable)
    source = sqlite_files.home / "a.db"
    make(source, encoding=encoding)
    taken = sqlite_files.take("a.db")
    before = content_of(sqlite_files, "a.db")
    assert before == content_of(sqlite_files, "a.db", piece=1009)
    counted = {table.name: table.rows for table in taken.dump.inventory.tables if table.rows}
    assert {name: found.rows for name, found in before.items()} == counted
    assert before["plain"].rows > len(VALUES) - 2
    assert {"docs_data", "sqlite_sequence"} <= before.keys()
    (sqlite_files.home / "b.db").touch()
    sqlite_files.put(taken, "b.db")
    assert content_of(sqlite_files, "b.db") == before
    with closing(sqlite3.connect(sqlite_files.home / "b.db")) as session:
        session.execute("UPDATE pairs SET c = c || 'x' WHERE b = 10")
        session.commit()
    after = content_of(sqlite_files, "b.db")
    assert {name for name in before if before[name] != after[name]} == {"pairs"}


def test_names_and_values_may_look_like_a_dump(sqlite_files: SqliteFiles) -> None:
    source = sqlite_files.home / "a.db"
    with closing(sqlite3.connect(source, isolation_level=None)) as session:
        session.execute("CREATE TABLE plain (b)")
        session.execute('CREATE TABLE "odd\nname; VALUES\n(" ("a\n)" TEXT)')
        session.execute('INSERT INTO "odd\nname; VALUES\n(" VALUES (?), (?)', ["),\n(", ");\n"])
        session.execute("INSERT INTO plain (b) VALUES (?)", [b"\0" * 3_000_000])
        session.execute(
            "CREATE TRIGGER odd AFTER INSERT ON plain BEGIN"
            ' INSERT INTO "plain"("b") VALUES\n(5),\n(6);\n END'
        )
    before = content_of(sqlite_files, "a.db", piece=1009)
    assert {name: found.rows for name, found in before.items()} == {
        "plain": 1,
        "odd\nname; VALUES\n(": 2,
    }
    sqlite_files.put(sqlite_files.take("a.db"), "a.db")
    assert content_of(sqlite_files, "a.db") == before


def test_damage_is_named(sqlite_files: SqliteFiles) -> None:
    make(sqlite_files.home / "a.db", rows=3)
    taken = sqlite_files.take("a.db")
    (member,) = taken.dump.members
    text = b"".join(taken.fetch(member.name))
    for end in range(len(text) - 1, 0, -97):
        with pytest.raises(EvidenceMissing, match=r"the dump (ends|does not end)"):
            sqlite_files.engine.content(member, iter([text[:end]]))
    with pytest.raises(NotSupported):
        sqlite_files.engine.content(Member("imported.sql", "foreign-sql", None), iter([text]))
