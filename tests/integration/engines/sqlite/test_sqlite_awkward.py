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
from fixtures.sqlite_desk import Desk
from holdfast.contracts.engine import WARNINGS, Undoable
from holdfast.contracts.local_servers import DIFFERENCES
from holdfast.domain.errors import AddonRefused, EvidenceMissing, RestoreDiffers


def put(desk: Desk, taken: Taken, name: str, *, op: str = "op", keep_old: bool = False) -> Any:
    """Returns what was loaded."""
    (desk.home / name).touch()
    address, attempt = desk.at(name), replace(desk.log.attempt(op), keep_old=keep_old)
    desk.engine.preflight(address, taken.dump)
    loaded = desk.engine.stage(address, taken.dump, taken.fetch, attempt, a_guard())
    desk.engine.swap(address, taken.dump, attempt, a_guard())
    desk.engine.swap(address, taken.dump, attempt, a_guard())
    return loaded


def bring(desk: Desk, copied: Path, name: str, *, keep_old: bool = False) -> Any:
    """A snapshot into a file; returns what was proven."""
    attempt = replace(desk.log.attempt("snapshot"), keep_old=keep_old)
    shutil.copytree(copied.parents[1], desk.engine.room(attempt))
    proven = desk.engine.accept(desk.at(name), desk.facts, attempt, a_guard())
    desk.engine.replace_content(desk.at(name), attempt, a_guard())
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


def test_own_tables_with_names_of_shadows_come_back(desk: Desk) -> None:
    with closing(sqlite3.connect(desk.home / "a.db", isolation_level=None)) as session:
        session.executescript(SHADOWY)
    before = contents(desk.home / "a.db")
    put(desk, desk.take("a.db"), "b.db")
    assert contents(desk.home / "b.db") == before
    with closing(sqlite3.connect(desk.home / "b.db")) as session:
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
def owned(desk: Desk) -> Path:
    with application(desk.home / "a.db") as session:
        session.executescript(OWN)
    return desk.home / "a.db"


def test_a_snapshot_of_a_file_that_needs_its_application_is_the_file(
    desk: Desk, owned: Path
) -> None:
    assert desk.engine.probe(desk.at("a.db")).facts["tables"] == 6
    copied = desk.copy("a.db")
    assert copied.read_bytes() == owned.read_bytes()
    warned = {each["object"]: each["text"] for each in desk.facts[WARNINGS]}
    assert set(warned) == {"icu_root", "to_slug"}
    assert "the collation icu_root is one of the application" in warned["icu_root"]
    (desk.home / "b.db").touch()
    assert bring(desk, copied, "b.db")[DIFFERENCES] == []
    with application(desk.home / "b.db") as session:
        assert session.execute("PRAGMA integrity_check").fetchall() == [
            ("CHECK constraint failed in checked",)
        ]
        query = "SELECT title FROM items INDEXED BY by_title ORDER BY title"
        assert session.execute(query).fetchall() == [("A",), ("a",), ("b",)]


def test_a_dump_of_it_restores_and_names_what_the_application_has_to_do(
    desk: Desk, owned: Path
) -> None:
    taken = desk.take("a.db")
    assert {each["object"] for each in taken.dump.facts[WARNINGS]} == {"icu_root", "to_slug"}  # type: ignore[attr-defined]
    desk.engine.examine(taken.dump.members[0], taken.fetch("main.sql"))
    loaded = put(desk, taken, "b.db")
    assert {(each.kind, each.name) for each in loaded.skipped} == {
        *(("index", "by_title"), ("index", "by_slug")),
        *(("", "keyed"), ("", "packed"), ("", "computed")),
    }
    assert all("one of the application" in each.reason for each in loaded.skipped)
    assert loaded.tables == taken.dump.inventory.tables
    assert taken.dump.inventory.objects["main"]["index"] - loaded.objects["main"]["index"] == 2
    with application(desk.home / "b.db") as session:
        session.execute("REINDEX icu_root")
        session.execute("UPDATE computed SET a = a")
        for each in loaded.skipped:
            if each.kind == "index":
                session.execute(each.reason.partition("to be made there by ")[2])
        rows = {t: session.execute(f"SELECT * FROM {t}").fetchall() for t in ("items", "computed")}
    with application(owned) as session:
        assert rows == {t: session.execute(f"SELECT * FROM {t}").fetchall() for t in rows}


def test_damage_of_such_a_file_is_found_all_the_same(desk: Desk, owned: Path) -> None:
    with application(owned) as session:
        session.execute("INSERT INTO fine SELECT hex(randomblob(300)) FROM items a, items b, items")
        root = session.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'fine'").fetchone()
        size = session.execute("PRAGMA page_size").fetchone()[0]
    body = bytearray(owned.read_bytes())
    at = (root[0] - 1) * size
    body[at : at + 40] = b"\xee" * 40
    owned.write_bytes(body)
    with pytest.raises((EvidenceMissing, AddonRefused), match=r"damaged|malformed"):
        desk.copy("a.db")


def test_a_table_of_a_module_that_is_not_here_comes_back_as_it_was(desk: Desk) -> None:
    make(desk.home / "a.db", rows=3)
    with closing(sqlite3.connect(desk.home / "a.db", isolation_level=None)) as session:
        session.execute("PRAGMA writable_schema=ON")
        session.execute(
            "INSERT INTO sqlite_schema VALUES ('table', 'vectors', 'vectors', 0,"
            " 'CREATE VIRTUAL TABLE vectors USING vec0(embedding float[4])')"
        )
        session.execute("CREATE TABLE vectors_chunks (chunk_id INTEGER PRIMARY KEY, v)")
        session.execute("INSERT INTO vectors_chunks VALUES (1, X'00ff')")
        session.execute("PRAGMA writable_schema=RESET")
    copied = desk.copy("a.db")
    assert copied.read_bytes() == (desk.home / "a.db").read_bytes()
    taken = desk.take("a.db")
    (warned,) = taken.dump.facts[WARNINGS]  # type: ignore[misc]
    assert warned["object"] == "vectors"
    (skipped,) = put(desk, taken, "b.db").skipped
    assert (skipped.kind, skipped.name) == ("table", "vectors")
    with closing(sqlite3.connect(desk.home / "b.db", isolation_level=None)) as session:
        for statement in skipped.reason.partition("run there: ")[2].split("; "):
            session.execute(statement)
    assert rows_and_schema(desk.home / "b.db") == rows_and_schema(desk.home / "a.db")


def rows_and_schema(path: Path) -> list[Any]:
    with closing(sqlite3.connect(path)) as session:
        schema = session.execute("SELECT name, sql FROM sqlite_schema ORDER BY 1").fetchall()
        return [*schema, *session.execute("SELECT * FROM vectors_chunks")]


@pytest.fixture
def hot(desk: Desk) -> Path:
    """What an application leaves that is killed in the middle of a transaction."""
    path, origin = desk.home / "a.db", desk.home / "origin.db"
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
    desk: Desk, hot: Path
) -> None:
    before = {each.name: each.read_bytes() for each in desk.home.iterdir()}
    assert desk.engine.probe(desk.at("a.db")).facts["tables"] == 1
    taken, copied = desk.take("a.db"), desk.copy("a.db")
    assert any("never ended" in line for line in desk.log.lines)
    assert {each.name: each.read_bytes() for each in desk.home.iterdir()} == before
    put(desk, taken, "b.db")
    for made in (copied, desk.home / "b.db"):
        with closing(sqlite3.connect(made)) as session:
            assert session.execute("SELECT count(*), max(b) FROM t").fetchone() == (500, "x" * 500)
    put(desk, taken, "a.db", op="over it")
    assert contents(hot) == contents(desk.home / "b.db")


def test_dumps_of_newer_shells_come_in(desk: Desk) -> None:
    body = (
        b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n"
        b"CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT);\n"
        rb"INSERT INTO note VALUES(1,unistr('first line\u000asecond\u0009tab \\ \+01f600 \00e4'));"
        b"\n"
        rb"INSERT INTO note VALUES(2,unistr('\ud83d\ude00\U0001f601'));"
        b"\nCOMMIT;\n"
    )
    (desk.home / "b.db").touch()
    address, dump = desk.at("b.db"), taken_in(desk.engine, body)
    attempt = desk.log.attempt("newer")
    desk.engine.stage(address, dump, lambda _: pieces(body), attempt, a_guard())
    desk.engine.swap(address, dump, attempt, a_guard())
    with closing(sqlite3.connect(desk.home / "b.db")) as session:
        assert session.execute("SELECT body FROM note ORDER BY id").fetchall() == [
            ("first line\nsecond\ttab \\ \U0001f600 ä",),
            ("\U0001f600\U0001f601",),
        ]
    with pytest.raises(EvidenceMissing, match="statement 4 of the dump"):
        taken_in(desk.engine, body.replace(rb"\u000a", rb"\q"))


@pytest.mark.parametrize("wal", [False, True])
@pytest.mark.parametrize("rows", [0, 1, 2000])
def test_a_restore_is_taken_back(desk: Desk, wal: bool, rows: int) -> None:
    """Of a dump and of a snapshot, whatever the size of what came."""
    assert isinstance(desk.engine, Undoable)
    source, target = desk.home / "a.db", desk.home / "b.db"
    source.touch()
    if rows:
        with closing(sqlite3.connect(source)) as session:
            session.execute("CREATE TABLE t (a TEXT)")
            session.executemany("INSERT INTO t VALUES (?)", [("x" * 900,)] * rows)
            session.commit()
    make(target, wal=wal)
    before, taken = contents(target), desk.take("a.db")
    put(desk, taken, "b.db", op="dumped", keep_old=True)
    assert contents(target)["schema"] == contents(source)["schema"]
    for _ in range(2):  # until the old data is dropped it may be repeated
        desk.engine.put_back(desk.at("b.db"), "dumped", desk.log.attempt("undo"), a_guard())
    desk.engine.drop_aside(desk.at("b.db"), "dumped", desk.log.attempt("undo"), a_guard())
    assert contents(target) == before
    bring(desk, desk.copy("a.db"), "b.db", keep_old=True)
    assert contents(target)["schema"] == contents(source)["schema"]
    desk.engine.put_back(desk.at("b.db"), "snapshot", desk.log.attempt("undo"), a_guard())
    desk.engine.drop_aside(desk.at("b.db"), "snapshot", desk.log.attempt("undo"), a_guard())
    assert contents(target) == before
    with pytest.raises(RestoreDiffers, match="nothing of this restore is set aside"):
        desk.engine.put_back(desk.at("b.db"), "dumped", desk.log.attempt("undo"), a_guard())
    put(desk, taken, "b.db", op="dropped", keep_old=True)
    for _ in range(2):
        desk.engine.drop_aside(desk.at("b.db"), "dropped", desk.log.attempt("drop"), a_guard())
    assert not list((desk.home.parent / "state").rglob("old-*"))


def test_what_was_written_until_the_swap_is_in_the_old_data(desk: Desk) -> None:
    make(desk.home / "a.db")
    taken, attempt = desk.take("a.db"), replace(desk.log.attempt("late"), keep_old=True)
    address = desk.at("a.db")
    desk.engine.stage(address, taken.dump, taken.fetch, attempt, a_guard())
    with closing(sqlite3.connect(desk.home / "a.db")) as other:
        other.execute("INSERT INTO hidden_rowids VALUES ('late')")
        other.commit()
    before = contents(desk.home / "a.db")
    desk.engine.swap(address, taken.dump, attempt, a_guard())
    desk.engine.put_back(address, "late", desk.log.attempt("undo"), a_guard())
    assert contents(desk.home / "a.db") == before
