"""A file judged by itself and by its owner's assertions."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fixtures.postgres import Log, a_guard
from fixtures.sqlite_data import make
from fixtures.sqlite_files import SqliteFiles
from holdfast.contracts.drills import Assertable, Assertion, Confinable, SelfChecking
from holdfast.contracts.engine import Address, Dumpable
from holdfast.domain.errors import AddonRefused, AddonUnavailable, Interrupted
from holdfast.domain.evidence import Check
from holdfast.engines.sqlite import create
from holdfast.engines.sqlite.driver import SQLite
from holdfast.kit.seal import Secret


def address_of(path: Path) -> Address:
    return Address("", 0, "", Secret(""), str(path))


@pytest.fixture
def bank(sqlite_files: SqliteFiles) -> Iterator[Path]:
    path = sqlite_files.home / "bank.db"
    make(path, wal=True)
    before = path.read_bytes()
    yield path
    assert path.read_bytes() == before


def ask(files: SqliteFiles, path: Path, text: str, seconds: float = 30) -> Check:
    return files.engine.assert_true(address_of(path), Assertion("mine", text, seconds), a_guard())


def test_it_checks_its_data(sqlite_files: SqliteFiles) -> None:
    assert isinstance(sqlite_files.engine, SelfChecking)
    path = sqlite_files.home / "a.db"
    make(path)
    integrity, keys = sqlite_files.engine.check_data(address_of(path), a_guard())
    assert (integrity.passed, integrity.found) == (True, "ok")
    assert keys.passed
    assert keys.found == "rows that refer to missing rows: 1 of child"
    content = bytearray(path.read_bytes())
    for page in range(5, len(content) // 8192):
        content[page * 8192 + 20 : page * 8192 + 60] = b"\xff" * 40
    path.write_bytes(content)
    integrity, _ = sqlite_files.engine.check_data(address_of(path), a_guard())
    assert not integrity.passed
    assert "ok" not in integrity.found.split()


@pytest.mark.parametrize(
    ("text", "passed", "found"),
    [
        ("SELECT count(*) > 10 FROM plain", True, "the answer is 1"),
        ("SELECT count(*) FROM plain;", True, "the answer is "),
        ("-- how many?\nSELECT 0.5", True, "the answer is 0.5"),
        ("SELECT 0.0", False, "the answer is 0.0"),
        ("SELECT 'False'", False, "the answer is False"),
        ("SELECT ''", False, "an empty text"),
        ("SELECT x'31'", True, "the answer is 1"),
        ("SELECT NULL", False, "NULL"),
        ("SELECT id FROM plain WHERE id < 0", False, "no row"),
        ("SELECT count(*) FROM docs WHERE docs MATCH 'more'", True, "the answer is 200"),
        ("SELECT count(*) FROM old_docs WHERE old_docs MATCH 'more'", True, "the answer is 300"),
        ("SELECT id FROM boxes WHERE x0 > 5 AND x1 < 40", True, "the answer is "),
        ("PRAGMA user_version", True, "the answer is -42"),
        ("SELECT count(*) FROM pragma_table_info('plain')", True, "the answer is 6"),
        ("INSERT INTO parent VALUES (77)", False, "it writes"),
        ("WITH a AS (SELECT 1) DELETE FROM parent RETURNING 1", False, "it writes"),
        ("UPDATE plain SET x = 1 RETURNING 1", False, "it writes"),
        ("CREATE TABLE t (a)", False, "it writes"),
        ("CREATE TEMP TABLE t (a)", False, "it writes"),
        ("DROP TABLE plain", False, "it writes"),
        ("PRAGMA user_version=5", False, "it reaches beyond"),
        ("PRAGMA query_only=OFF", False, "it reaches beyond"),
        ("PRAGMA temp_store_directory='/tmp'", False, "it reaches beyond"),
        ("ATTACH '/etc/passwd' AS p", False, "it reaches beyond"),
        ("VACUUM INTO '/tmp/copy-of-mine.db'", False, "it reaches beyond"),
        ("SELECT readfile('/etc/passwd')", False, "it reaches beyond"),
        ("SELECT writefile('/tmp/x', 'y')", False, "it reaches beyond"),
        ("SELECT edit('x')", False, "it reaches beyond"),
        ("SELECT load_extension('/tmp/x.so')", False, "it reaches beyond"),
        ("SELECT fts3_tokenizer('simple')", False, "it reaches beyond"),
        ("SELECT 1; SELECT 2", False, "several things"),
        ("SELECT 1; DROP TABLE plain", False, "several things"),
        ("SELEC 1", False, 'no valid statement: near "SELEC": syntax error'),
        ("SELECT absent FROM plain", False, "no valid statement: no such column"),
        ("", False, "no row"),
        ("SELECT 1 \0", False, "it fails"),
        ("SELECT '\ud800'", False, "it fails"),
        ("SELECT abs(-9223372036854775808)", False, "integer overflow"),
        ("SELECT zeroblob(900000000)", False, "too big"),
    ],
)
def test_an_assertion_is_answered_or_stopped(
    sqlite_files: SqliteFiles, bank: Path, text: str, passed: bool, found: str
) -> None:
    assert isinstance(sqlite_files.engine, Assertable)
    check = ask(sqlite_files, bank, text)
    assert (check.name, check.passed) == ("assertion mine", passed), check.found
    assert found in check.found


@pytest.mark.parametrize(
    "text",
    [
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
        "SELECT count(*) FROM hidden_rowids a, hidden_rowids b, hidden_rowids c, hidden_rowids d",
        # one call of a function, which SQLite does not interrupt
        "SELECT instr(hex(zeroblob(3000000)), hex(zeroblob(1500000)) || '1')",
    ],
)
def test_a_loop_is_ended(sqlite_files: SqliteFiles, bank: Path, text: str) -> None:
    began = time.monotonic()
    check = ask(sqlite_files, bank, text, 0.5)
    assert not check.passed
    assert "longer than 0.5 seconds" in check.found
    assert time.monotonic() - began < 60


def test_memory_and_an_abort_end_it(sqlite_files: SqliteFiles, bank: Path) -> None:
    hungry = (
        "WITH RECURSIVE n (i, b) AS (SELECT 1, zeroblob(50000000) UNION ALL"
        " SELECT i + 1, zeroblob(50000000) FROM n LIMIT 1000) SELECT count(DISTINCT b || i) FROM n"
    )
    check = ask(sqlite_files, bank, hungry)
    assert not check.passed
    guard = a_guard()
    guard.stop(Interrupted("told to"))
    with pytest.raises(Interrupted, match="told to"):
        sqlite_files.engine.assert_true(address_of(bank), Assertion("mine", "SELECT 1", 10), guard)


def test_a_confined_engine_stays_in_its_directory(
    sqlite_files: SqliteFiles, tmp_path: Path
) -> None:
    assert isinstance(sqlite_files.engine, Confinable)
    room = tmp_path / "drill"
    room.mkdir(mode=0o700)
    confined = sqlite_files.engine.confined(room)
    assert isinstance(confined, Dumpable)
    assert isinstance(confined, SQLite)
    make(sqlite_files.home / "a.db")
    taken = sqlite_files.take("a.db")
    inside = room / "restored.db"
    with closing(sqlite3.connect(inside)) as session:
        session.execute("PRAGMA user_version")
    inside.touch()
    attempt = Log().attempt()
    loaded = confined.stage(address_of(inside), taken.dump, taken.fetch, attempt, a_guard())
    confined.swap(address_of(inside), taken.dump, attempt, a_guard())
    assert {t.name: t.rows for t in loaded.tables} == {
        t.name: t.rows for t in taken.dump.inventory.tables
    }
    assert {path.name for path in room.iterdir()} <= {"restored.db", "sqlite"}
    with pytest.raises(AddonRefused, match="not below"):
        confined.probe(address_of(sqlite_files.home / "a.db"))
    (room / "link.db").symlink_to(sqlite_files.home / "a.db")
    with pytest.raises(AddonRefused, match="symbolic link"):
        confined.probe(address_of(room / "link.db"))
    with pytest.raises((AddonRefused, AddonUnavailable)):
        confined.probe(address_of(room / "sqlite" / "other.db"))
    assert isinstance(create(tmp_path), Confinable)
