"""SQLite files and dumps that others made: what comes in, what is refused, and what is harmless."""

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fixtures.imported import pieces, taken_in
from fixtures.postgres import Log, a_guard
from fixtures.sqlite_data import fingerprint, make
from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.sqlite import create
from holdfast.engines.sqlite.client import scratch
from holdfast.engines.sqlite.driver import SQLite
from holdfast.jobs.dumps import inventories


@pytest.fixture
def engine(tmp_path: Path) -> SQLite:
    (tmp_path / "files").mkdir()
    made = create(tmp_path / "state" / "tools")
    made.allow([tmp_path / "files"], tmp_path / "state")
    return made


@pytest.fixture
def home(tmp_path: Path, engine: SQLite) -> Iterator[Path]:
    """Where files may be touched; nothing of an import stays elsewhere."""
    yield tmp_path / "files"
    scratch.wait_for_removals()
    assert list((tmp_path / "state").rglob("*.db")) == []


def load(engine: SQLite, target: Path, body: bytes, op: str = "import") -> None:
    target.touch()
    address, dump = engine.parse(f"sqlite://{target}"), taken_in(engine, body)
    engine.preflight(address, dump)
    fetch, attempt = (lambda _: pieces(body)), Log().attempt(op)
    loaded = engine.stage(address, dump, fetch, attempt, a_guard())
    assert inventories.shortfalls(dump.inventory, loaded) == []
    engine.swap(address, dump, attempt, a_guard())
    engine.swap(address, dump, attempt, a_guard())


def shell_dump(path: Path) -> bytes:
    return subprocess.run(["sqlite3", path, ".dump"], capture_output=True, check=True).stdout


@pytest.mark.parametrize("wal", [False, True])
@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le"])
def test_a_file_comes_in_copy_by_pages(
    engine: SQLite, home: Path, encoding: str, wal: bool
) -> None:
    make(home / "a.db", encoding=encoding, wal=wal)
    before = fingerprint(home / "a.db")
    load(engine, home / "b.db", (home / "a.db").read_bytes())
    assert fingerprint(home / "b.db") == before


def test_what_the_stock_shell_dumps_comes_in(engine: SQLite, home: Path) -> None:
    """What the shell itself loses is lost: so its own restore is what must be met."""
    make(home / "a.db", encoding="UTF-16le")
    body = shell_dump(home / "a.db")
    assert b"writable_schema" in body
    subprocess.run(["sqlite3", home / "shell.db"], input=body, check=True, capture_output=True)
    load(engine, home / "b.db", body)
    wanted, found = fingerprint(home / "shell.db"), fingerprint(home / "b.db")
    names = {str(name) for name in wanted if "stat" not in name}
    assert {name: found[name] for name in names - {"schema"}} == {
        name: wanted[name] for name in names - {"schema"}
    }
    assert set(found["schema"]) >= {each for each in wanted["schema"] if "stat4" not in each}


def plain(path: Path) -> bytes:
    with closing(sqlite3.connect(path, isolation_level=None)) as session:
        session.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
        rows = [(n, f"row {n} " * 30) for n in range(500)]
        session.executemany("INSERT INTO t VALUES (?, ?)", rows)
        session.execute("CREATE INDEX i ON t (b)")
    return path.read_bytes()


def rewritten(path: Path, *statements: str) -> bytes:
    """With a schema that no statement could have made."""
    with closing(sqlite3.connect(path, isolation_level=None)) as session:
        session.execute("PRAGMA writable_schema=ON")
        for statement in statements:
            session.execute(statement)
    return path.read_bytes()


def test_what_is_not_whole_or_not_ours_is_refused_with_what_was_found(
    engine: SQLite, home: Path
) -> None:
    file = plain(home / "a.db")
    text = shell_dump(home / "a.db")
    wrong = {
        file[: len(file) // 2]: "damaged|are meant",
        file + bytes(4096): "are meant",
        file[:8192] + bytes(4096) + file[12288:]: "damaged",
        file[:100]: "damaged|are meant",
        file[:16] + b"\xff" * 84 + file[100:]: "damaged",
        text[: len(text) // 2]: "in the middle of a statement|COMMIT",
        text.replace(b"COMMIT;", b"ROLLBACK; -- due to errors"): "in the middle",
        text.replace(b"COMMIT;", b"ROLLBACK;"): "does not end with COMMIT",
        text.replace(b"CREATE TABLE", b"-- CREATE TABLE"): "no such table.* rows alone",
        text.replace(b"row 7 ", b"row \xff "): "no UTF-8",
        b"-- MySQL dump 10.13": "a dump of MySQL",
        b"PGDMP": "pg_dump",
        b"REDIS0011": "Redis",
        b"\0" * 500: "not known here",
        b"": "not known here",
    }
    for body, reason in wrong.items():
        with pytest.raises(EvidenceMissing, match=reason):
            taken_in(engine, body)


HOSTILE = {
    "ATTACH '{proof}' AS x": "not authorized",
    "VACUUM INTO '{proof}'": "not authorized|cannot VACUUM",
    "SELECT load_extension('{proof}')": "not authorized|no such function",
    "SELECT writefile('{proof}', 'x')": "not authorized|no such function",
    ".shell touch {proof}": "syntax error",
    "PRAGMA journal_mode=WAL": "not authorized",
    "PRAGMA temp_store_directory='{proof}'": "not authorized",
    "CREATE VIRTUAL TABLE v USING csv(filename='/etc/passwd')": "not authorized|no such module",
    "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET rootpage = 1": "not authorized",
    "PRAGMA writable_schema=ON;\nUPDATE sqlite_schema SET rootpage = 1": "may not be modified",
    "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','x','x',0,"
    "'CREATE VIRTUAL TABLE x USING csv(filename=''/etc/passwd'')')": "not authorized|no such mod",
    "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','x','x',2,"
    "'CREATE TABLE x (a)')": "may not be modified",
    "CREATE TABLE z AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
    " SELECT x, zeroblob(100000) FROM c": "asks for more",
    "SELECT count(*) FROM t a, t b, t c, t d, t e, t f": "asks for more",
}  # fmt: skip


def test_hostile_text_does_no_harm(engine: SQLite, home: Path, tmp_path: Path) -> None:
    plain(home / "a.db")
    text, proof = shell_dump(home / "a.db").decode(), tmp_path / "it-was-here"
    for statement, reason in HOSTILE.items():
        evil = statement.replace("{proof}", str(proof))
        body = text.replace("COMMIT;", f"{evil};\nCOMMIT;").encode()
        with pytest.raises(EvidenceMissing, match=reason):
            taken_in(engine, body)
    assert not proof.exists()


def test_a_file_with_a_forged_schema_is_refused(engine: SQLite, home: Path) -> None:
    forged = {
        "UPDATE sqlite_schema SET rootpage = 2": "damaged",
        "UPDATE sqlite_schema SET rootpage = 99999 WHERE name = 't'": "damaged",
        "UPDATE sqlite_schema SET sql = 'CREATE TABLE' WHERE name = 't'": "damaged",
        "INSERT INTO sqlite_schema VALUES ('table', 'v', 'v', 0,"
        " 'CREATE VIRTUAL TABLE v USING csv(filename=''/etc/passwd'')')": "of a module",
    }
    for number, (statement, reason) in enumerate(forged.items()):
        path = home / f"{number}.db"
        plain(path)
        with pytest.raises(EvidenceMissing, match=reason):
            taken_in(engine, rewritten(path, statement))


def test_triggers_and_views_of_a_stranger_do_nothing_until_they_are_used(
    engine: SQLite, home: Path
) -> None:
    plain(home / "a.db")
    with closing(sqlite3.connect(home / "a.db", isolation_level=None)) as session:
        session.execute("CREATE VIEW v AS SELECT load_extension('/tmp/evil.so')")
        session.execute("CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT load_extension('x'); END")
    for op, body in (("file", (home / "a.db").read_bytes()), ("text", shell_dump(home / "a.db"))):
        load(engine, home / "b.db", body, op)
        with closing(sqlite3.connect(home / "b.db")) as session:
            assert session.execute("SELECT count(*) FROM t").fetchone() == (500,)
            for use in ("SELECT * FROM v", "INSERT INTO t VALUES (1000, 'x')"):
                with pytest.raises(sqlite3.Error):
                    session.execute(use).fetchall()


def test_a_discarded_import_leaves_the_file_as_it_was(engine: SQLite, home: Path) -> None:
    body = plain(home / "a.db")
    make(home / "b.db")
    before = fingerprint(home / "b.db")
    address, dump = engine.parse(f"sqlite://{home / 'b.db'}"), taken_in(engine, body)
    attempt = Log().attempt("given up")
    engine.stage(address, dump, lambda _: pieces(body), attempt, a_guard())
    assert "as it was" in engine.discard(address, attempt)
    assert fingerprint(home / "b.db") == before
