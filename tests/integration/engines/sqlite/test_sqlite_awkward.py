"""Files that need more than SQLite alone, names that mislead, and applications that died."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fixtures.imported import pieces, taken_in
from fixtures.postgres import Taken, a_guard
from fixtures.sqlite_data import contents, make
from fixtures.sqlite_files import SqliteFiles
from holdfast.contracts.engine import WARNINGS, Undoable
from holdfast.contracts.local_servers import DIFFERENCES
from holdfast.domain.errors import AddonRefused, EvidenceMissing, RestoreDiffers


def put(
    sqlite_files: SqliteFiles, taken: Taken, name: str, *, op: str = "op", keep_old: bool = False
) -> Any:
    """Returns what was loaded."""
    (sqlite_files.home / name).touch()
    address, attempt = (
        sqlite_files.at(name),
        replace(sqlite_files.log.attempt(op), keep_old=keep_old),
    )
    sqlite_files.engine.preflight(address, taken.dump)
    loaded = sqlite_files.engine.stage(address, taken.dump, taken.fetch, attempt, a_guard())
    sqlite_files.engine.swap(address, taken.dump, attempt, a_guard())
    sqlite_files.engine.swap(address, taken.dump, attempt, a_guard())
    return loaded


def bring(sqlite_files: SqliteFiles, copied: Path, name: str, *, keep_old: bool = False) -> Any:
    """A snapshot into a file; returns what was proven."""
    attempt = replace(sqlite_files.log.attempt("snapshot"), keep_old=keep_old)
    shutil.copytree(copied.parents[1], sqlite_files.engine.room(attempt))
    proven = sqlite_files.engine.accept(
        sqlite_files.at(name), sqlite_files.facts, attempt, a_guard()
    )
    sqlite_files.engine.replace_content(sqlite_files.at(name), attempt, a_guard())
    return proven


SHADOWY = """
CREATE TABLE notes_content (id INTEGER PRIMARY KEY, title TEXT, body TEXT);
INSERT INTO notes_content VALUES (1, 'a', 'first'), (7, 'b', 'second');
CREATE VIRTUAL TABLE notes USING fts5 (title, body, content = 'notes_content',
  content_rowid = 'id');
INSERT INTO notes (notes) VALUES ('rebuild');
CREATE TABLE sized_docsize (own TEXT);
INSERT INTO sized_docsize VALUES ('mine');
CREATE VIRTUAL TABLE sized USING fts5 (a, columnsize = 0);
INSERT INTO sized VALUES ('word');
CREATE TABLE old_content (a TEXT, b TEXT);
INSERT INTO old_content VALUES ('x', 'y');
CREATE VIRTUAL TABLE old USING fts4(content="old_content", a, b);
INSERT INTO old (old) VALUES ('rebuild');
CREATE VIRTUAL TABLE boxes USING rtree (id, x0, x1);
INSERT INTO boxes VALUES (1, 2, 3);
CREATE TABLE boxes_extra (own);
"""


def test_own_tables_with_names_of_shadows_come_back(sqlite_files: SqliteFiles) -> None:
    with closing(sqlite3.connect(sqlite_files.home / "a.db", isolation_level=None)) as session:
        session.executescript(SHADOWY)
    before = contents(sqlite_files.home / "a.db")
    put(sqlite_files, sqlite_files.take("a.db"), "b.db")
    assert contents(sqlite_files.home / "b.db") == before
    with closing(sqlite3.connect(sqlite_files.home / "b.db")) as session:
        found = session.execute("SELECT rowid FROM notes WHERE notes MATCH 'second'").fetchall()
        assert found == [(7,)]
        assert session.execute("SELECT count(*) FROM old WHERE old MATCH 'x'").fetchone() == (1,)


OWN = """
CREATE TABLE items (title TEXT COLLATE icu_root, n INT);
CREATE INDEX by_title ON items (title);
CREATE INDEX by_n ON items (n);
INSERT INTO items VALUES ('b', 1), ('A', 2), ('a', 3);
CREATE TABLE keyed (t TEXT COLLATE icu_root PRIMARY KEY, x);
INSERT INTO keyed VALUES ('b', 1), ('A', 2);
CREATE TABLE packed (t TEXT COLLATE icu_root PRIMARY KEY, x) WITHOUT ROWID;
INSERT INTO packed VALUES ('b', 1), ('A', 2);
CREATE TABLE computed (a TEXT NOT NULL, slug TEXT AS (to_slug(a)) STORED,
  shown TEXT NOT NULL AS (to_slug(a)), CHECK (to_slug(a) <> 'x'));
INSERT INTO computed (a) VALUES ('Q');
CREATE INDEX by_slug ON computed (to_slug(a));
CREATE TABLE checked (a INT CHECK (a > 0));
PRAGMA ignore_check_constraints=ON;
INSERT INTO checked VALUES (-1);
CREATE TABLE fine (a TEXT); CREATE INDEX by_a ON fine (a); INSERT INTO fine VALUES ('v');
CREATE VIEW shown AS SELECT to_slug(a) FROM computed ORDER BY a COLLATE icu_root;
CREATE TRIGGER slugs AFTER INSERT ON fine BEGIN SELECT to_slug(new.a); END;
"""


@contextmanager
def application(path: Path) -> Iterator[sqlite3.Connection]:
    """With all that the file needs."""
    with closing(sqlite3.connect(path, isolation_level=None)) as session:
        session.create_collation(
            "icu_root", lambda a, b: (a.lower() > b.lower()) - (a.lower() < b.lower()) or a > b
        )
        session.create_function("to_slug", 1, lambda text: text.lower(), deterministic=True)
        yield session


@pytest.fixture
def owned(sqlite_files: SqliteFiles) -> Path:
    with application(sqlite_files.home / "a.db") as session:
        session.executescript(OWN)
    return sqlite_files.home / "a.db"


def test_a_snapshot_of_a_file_that_needs_its_application_is_the_file(
    sqlite_files: SqliteFiles, owned: Path
) -> None:
    assert sqlite_files.engine.probe(sqlite_files.at("a.db")).facts["tables"] == 6
    copied = sqlite_files.copy("a.db")
    assert copied.read_bytes() == owned.read_bytes()
    warned = {each["object"]: each["text"] for each in sqlite_files.facts[WARNINGS]}
    assert set(warned) == {"icu_root", "to_slug"}
    assert "the collation icu_root is one of the application" in warned["icu_root"]
    (sqlite_files.home / "b.db").touch()
    assert bring(sqlite_files, copied, "b.db")[DIFFERENCES] == []
    with application(sqlite_files.home / "b.db") as session:
        assert session.execute("PRAGMA integrity_check").fetchall() == [
            ("CHECK constraint failed in checked",)
        ]
        query = "SELECT title FROM items INDEXED BY by_title ORDER BY title"
        assert session.execute(query).fetchall() == [("A",), ("a",), ("b",)]


def test_a_dump_of_it_restores_and_names_what_the_application_has_to_do(
    sqlite_files: SqliteFiles, owned: Path
) -> None:
    taken = sqlite_files.take("a.db")
    assert {each["object"] for each in taken.dump.facts[WARNINGS]} == {"icu_root", "to_slug"}  # type: ignore[attr-defined]
    sqlite_files.engine.examine(taken.dump.members[0], taken.fetch("main.sql"))
    loaded = put(sqlite_files, taken, "b.db")
    assert {(each.kind, each.name) for each in loaded.skipped} == {
        *(("index", "by_title"), ("index", "by_slug")),
        *(("", "keyed"), ("", "packed"), ("", "computed")),
    }
    assert all("one of the application" in each.reason for each in loaded.skipped)
    assert loaded.tables == taken.dump.inventory.tables
    assert taken.dump.inventory.objects["main"]["index"] - loaded.objects["main"]["index"] == 2
    with application(sqlite_files.home / "b.db") as session:
        session.execute("REINDEX icu_root")
        session.execute("UPDATE computed SET a = a")
        for each in loaded.skipped:
            if each.kind == "index":
                session.execute(each.reason.partition("to be made there by ")[2])
        rows = {t: session.execute(f"SELECT * FROM {t}").fetchall() for t in ("items", "computed")}
    with application(owned) as session:
        assert rows == {t: session.execute(f"SELECT * FROM {t}").fetchall() for t in rows}


def test_damage_of_such_a_file_is_found_all_the_same(
    sqlite_files: SqliteFiles, owned: Path
) -> None:
    with application(owned) as session:
        session.execute("INSERT INTO fine SELECT hex(randomblob(300)) FROM items a, items b, items")
        root = session.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'fine'").fetchone()
        size = session.execute("PRAGMA page_size").fetchone()[0]
    body = bytearray(owned.read_bytes())
    at = (root[0] - 1) * size
    body[at : at + 40] = b"\xee" * 40
    owned.write_bytes(body)
    with pytest.raises((EvidenceMissing, AddonRefused), match=r"damaged|malformed"):
        sqlite_files.copy("a.db")


def test_a_table_of_a_module_that_is_not_here_comes_back_as_it_was(
    sqlite_files: SqliteFiles,
) -> None:
    make(sqlite_files.home / "a.db", rows=3)
    with closing(sqlite3.connect(sqlite_files.home / "a.db", isolation_level=None)) as session:
        session.execute("PRAGMA writable_schema=ON")
        session.execute(
            "INSERT INTO sqlite_schema VALUES ('table', 'vectors', 'vectors', 0,"
            " 'CREATE VIRTUAL TABLE vectors USING vec0(embedding float[4])')"
        )
        session.execute("CREATE TABLE vectors_chunks (chunk_id INTEGER PRIMARY KEY, v)")
        session.execute("INSERT INTO vectors_chunks VALUES (1, X'00ff')")
        session.execute("PRAGMA writable_schema=RESET")
    copied = sqlite_files.copy("a.db")
    assert copied.read_bytes() == (sqlite_files.home / "a.db").read_bytes()
    taken = sqlite_files.take("a.db")
    (warned,) = taken.dump.facts[WARNINGS]  # type: ignore[misc]
    assert warned["object"] == "vectors"
    (skipped,) = put(sqlite_files, taken, "b.db").skipped
    assert (skipped.kind, skipped.name) == ("table", "vectors")
    with closing(sqlite3.connect(sqlite_files.home / "b.db", isolation_level=None)) as session:
        for statement in skipped.reason.partition("run there: ")[2].split("; "):
            session.execute(statement)
    assert rows_and_schema(sqlite_files.home / "b.db") == rows_and_schema(
        sqlite_files.home / "a.db"
    )


def rows_and_schema(path: Path) -> list[Any]:
    with closing(sqlite3.connect(path)) as session:
        schema = session.execute("SELECT name, sql FROM sqlite_schema ORDER BY 1").fetchall()
        return [*schema, *session.execute("SELECT * FROM vectors_chunks")]


@pytest.fixture
def hot(sqlite_files: SqliteFiles) -> Path:
    """What an application leaves that is killed in the middle of a transaction."""
    path, origin = sqlite_files.home / "a.db", sqlite_files.home / "origin.db"
    with closing(sqlite3.connect(origin, isolation_level=None)) as session:
        session.execute("PRAGMA cache_size=5")
        session.execute("CREATE TABLE t (a, b)")
        session.execute("BEGIN")
        session.executemany("INSERT INTO t VALUES (?, ?)", ((i, "x" * 500) for i in range(500)))
        session.execute("COMMIT")
        session.execute("BEGIN")
        session.execute("UPDATE t SET b = 'y' || b")
        for end in ("", "-journal"):
            shutil.copy(f"{origin}{end}", f"{path}{end}")
    return path


def test_what_a_killed_application_left_is_backed_up_as_it_was_before(
    sqlite_files: SqliteFiles, hot: Path
) -> None:
    before = {each.name: each.read_bytes() for each in sqlite_files.home.iterdir()}
    assert sqlite_files.engine.probe(sqlite_files.at("a.db")).facts["tables"] == 1
    taken, copied = sqlite_files.take("a.db"), sqlite_files.copy("a.db")
    assert any("never ended" in line for line in sqlite_files.log.lines)
    assert {each.name: each.read_bytes() for each in sqlite_files.home.iterdir()} == before
    put(sqlite_files, taken, "b.db")
    for made in (copied, sqlite_files.home / "b.db"):
        with closing(sqlite3.connect(made)) as session:
            assert session.execute("SELECT count(*), max(b) FROM t").fetchone() == (500, "x" * 500)
    put(sqlite_files, taken, "a.db", op="over it")
    assert contents(hot) == contents(sqlite_files.home / "b.db")


def test_dumps_of_newer_shells_come_in(sqlite_files: SqliteFiles) -> None:
    body = (
        b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n"
        b"CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT);\n"
        rb"INSERT INTO note VALUES(1,unistr('first line\u000asecond\u0009tab \\ \+01f600 \00e4'));"
        b"\n"
        rb"INSERT INTO note VALUES(2,unistr('\ud83d\ude00\U0001f601'));"
        b"\nCOMMIT;\n"
    )
    (sqlite_files.home / "b.db").touch()
    address, dump = sqlite_files.at("b.db"), taken_in(sqlite_files.engine, body)
    attempt = sqlite_files.log.attempt("newer")
    sqlite_files.engine.stage(address, dump, lambda _: pieces(body), attempt, a_guard())
    sqlite_files.engine.swap(address, dump, attempt, a_guard())
    with closing(sqlite3.connect(sqlite_files.home / "b.db")) as session:
        assert session.execute("SELECT body FROM note ORDER BY id").fetchall() == [
            ("first line\nsecond\ttab \\ \U0001f600 ä",),
            ("\U0001f600\U0001f601",),
        ]
    with pytest.raises(EvidenceMissing, match="statement 4 of the dump"):
        taken_in(sqlite_files.engine, body.replace(rb"\u000a", rb"\q"))


@pytest.mark.parametrize("wal", [False, True])
@pytest.mark.parametrize("rows", [0, 1, 2000])
def test_a_restore_is_taken_back(sqlite_files: SqliteFiles, wal: bool, rows: int) -> None:
    """Of a dump and of a snapshot, whatever the size of what came."""
    assert isinstance(sqlite_files.engine, Undoable)
    source, target = sqlite_files.home / "a.db", sqlite_files.home / "b.db"
    source.touch()
    if rows:
        with closing(sqlite3.connect(source)) as session:
            session.execute("CREATE TABLE t (a TEXT)")
            session.executemany("INSERT INTO t VALUES (?)", [("x" * 900,)] * rows)
            session.commit()
    make(target, wal=wal)
    before, taken = contents(target), sqlite_files.take("a.db")
    put(sqlite_files, taken, "b.db", op="dumped", keep_old=True)
    assert contents(target)["schema"] == contents(source)["schema"]
    for _ in range(2):  # until the old data is dropped it may be repeated
        sqlite_files.engine.put_back(
            sqlite_files.at("b.db"), "dumped", sqlite_files.log.attempt("undo"), a_guard()
        )
    sqlite_files.engine.drop_aside(
        sqlite_files.at("b.db"), "dumped", sqlite_files.log.attempt("undo"), a_guard()
    )
    assert contents(target) == before
    bring(sqlite_files, sqlite_files.copy("a.db"), "b.db", keep_old=True)
    assert contents(target)["schema"] == contents(source)["schema"]
    sqlite_files.engine.put_back(
        sqlite_files.at("b.db"), "snapshot", sqlite_files.log.attempt("undo"), a_guard()
    )
    sqlite_files.engine.drop_aside(
        sqlite_files.at("b.db"), "snapshot", sqlite_files.log.attempt("undo"), a_guard()
    )
    assert contents(target) == before
    with pytest.raises(RestoreDiffers, match="nothing of this restore is set aside"):
        sqlite_files.engine.put_back(
            sqlite_files.at("b.db"), "dumped", sqlite_files.log.attempt("undo"), a_guard()
        )
    put(sqlite_files, taken, "b.db", op="dropped", keep_old=True)
    for _ in range(2):
        sqlite_files.engine.drop_aside(
            sqlite_files.at("b.db"), "dropped", sqlite_files.log.attempt("drop"), a_guard()
        )
    assert not list((sqlite_files.home.parent / "state").rglob("old-*"))


def test_what_was_written_until_the_swap_is_in_the_old_data(sqlite_files: SqliteFiles) -> None:
    make(sqlite_files.home / "a.db")
    taken, attempt = (
        sqlite_files.take("a.db"),
        replace(sqlite_files.log.attempt("late"), keep_old=True),
    )
    address = sqlite_files.at("a.db")
    sqlite_files.engine.stage(address, taken.dump, taken.fetch, attempt, a_guard())
    with closing(sqlite3.connect(sqlite_files.home / "a.db")) as other:
        other.execute("INSERT INTO hidden_rowids VALUES ('late')")
        other.commit()
    before = contents(sqlite_files.home / "a.db")
    sqlite_files.engine.swap(address, taken.dump, attempt, a_guard())
    sqlite_files.engine.put_back(address, "late", sqlite_files.log.attempt("undo"), a_guard())
    assert contents(sqlite_files.home / "a.db") == before
