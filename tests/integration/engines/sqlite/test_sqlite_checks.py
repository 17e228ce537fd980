"""Which copies of SQLite files are no backups, and that every row of the others is in the text."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from fixtures.postgres import a_guard, read_member
from fixtures.sqlite_data import contents, make
from fixtures.sqlite_files import SqliteFiles
from holdfast.contracts.engine import EVERYTHING
from holdfast.domain.errors import (
    AddonRefused,
    AddonUnavailable,
    EvidenceMissing,
    Interrupted,
)
from holdfast.engines.sqlite.dump import script
from holdfast.engines.sqlite.dump.row_reader import Reader


def damage(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[5 * 8192 : 9 * 8192] = b"\xee" * 4 * 8192
    path.write_bytes(body)


@pytest.mark.parametrize("take", [SqliteFiles.take, SqliteFiles.copy])
def test_a_damaged_file_is_no_backup(
    sqlite_files: SqliteFiles, take: Callable[[SqliteFiles, str], object]
) -> None:
    make(sqlite_files.home / "a.db")
    damage(sqlite_files.home / "a.db")
    with pytest.raises((EvidenceMissing, AddonRefused)):
        take(sqlite_files, "a.db")


@pytest.mark.parametrize("take", [SqliteFiles.take, SqliteFiles.copy])
def test_what_only_the_check_notices_is_no_backup_either(
    sqlite_files: SqliteFiles, take: Callable[[SqliteFiles, str], object]
) -> None:
    """All rows can be read; an index says something else."""
    path = sqlite_files.home / "a.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as session:
        session.execute("CREATE TABLE t (v TEXT)")
        session.execute("CREATE INDEX i ON t (v)")
        session.executemany("INSERT INTO t VALUES (?)", [(f"value {n}",) for n in range(40)])
    body = path.read_bytes()
    at = body.rindex(b"value 17")  # the index was made after the table
    path.write_bytes(body[:at] + b"VALUE" + body[at + 5 :])
    with pytest.raises(EvidenceMissing, match=r"a\.db is damaged: .*index i"):
        take(sqlite_files, "a.db")


def test_the_check_is_given_up_with_the_operation(sqlite_files: SqliteFiles) -> None:
    make(sqlite_files.home / "a.db")
    guard = a_guard()
    with sqlite_files.engine.dump(
        sqlite_files.at("a.db"), EVERYTHING, sqlite_files.log.attempt(), guard
    ) as session:
        guard.stop(Interrupted("aborted on request"))
        with pytest.raises(Interrupted):
            read_member(session, session.members[0])


def test_a_file_that_was_replaced_while_it_was_copied_is_not_taken_for_it(
    sqlite_files: SqliteFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(sqlite_files.home / "a.db", rows=1)
    make(sqlite_files.home / "b.db", rows=2)

    def replaced(*_: object) -> None:
        (sqlite_files.home / "b.db").rename(sqlite_files.home / "a.db")

    monkeypatch.setattr("holdfast.engines.sqlite.physical.file_copy._copy_at_once", replaced)
    with pytest.raises(AddonUnavailable, match="was replaced by another file"):
        sqlite_files.take("a.db")


def test_rows_of_every_size_and_kind_come_back(sqlite_files: SqliteFiles) -> None:
    """Many to a portion and one to a portion, and text that is no UTF-8 after hundreds of rows."""
    rows: list[tuple[object, ...]] = [
        (n, n / 7 if n % 3 else None, f"it's {n}" if n % 5 else f"{n}") for n in range(400)
    ]
    rows[50] = (b"\xfe" * 3_000_000, -1e-310, "x" * 2_000_000)
    rows[51] = (b"\xff" * 3_000_000, 2.0**-1074, "\n\r" * 100)
    with closing(sqlite3.connect(sqlite_files.home / "a.db", isolation_level=None)) as session:
        session.execute("CREATE TABLE t (a, b REAL, c TEXT)")
        session.execute("BEGIN")
        session.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
        session.execute("INSERT INTO t VALUES (1, 2.5, CAST(X'ff41' AS TEXT))")
        session.executemany("INSERT INTO t VALUES (?, ?, ?)", rows[:9])
        session.execute("COMMIT")
    taken = sqlite_files.take("a.db")
    (sqlite_files.home / "b.db").touch()
    sqlite_files.put(taken, "b.db")
    assert contents(sqlite_files.home / "b.db") == contents(sqlite_files.home / "a.db")
    assert max(map(len, taken.plain["main.sql"].split(b";\n"))) < 8_100_000


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le"])
def test_large_values_are_written_in_pieces_and_come_back(
    sqlite_files: SqliteFiles, encoding: str
) -> None:
    """After many small rows, so that nobody was warned."""
    size = 1_000_000
    values: list[object] = [
        *(b"\0\xfe" * size, "it's\n" * size, "\r\n'\\10\\" * size, f"{'x' * size}\0'"),
        *("é" * size, None, 1.5, -7, "small", b"small"),
    ]
    with closing(sqlite3.connect(sqlite_files.home / "a.db", isolation_level=None)) as session:
        session.execute(f"PRAGMA encoding='{encoding}'")
        session.execute("CREATE TABLE t (a, b)")
        session.execute(f"CREATE VIEW wordy AS SELECT '{'long' * 20_000}' AS word")
        session.execute("BEGIN")
        session.executemany("INSERT INTO t VALUES (?, ?)", [(n, f"{n}") for n in range(500)])
        for value in values:
            session.execute("INSERT INTO t VALUES (?, 2)", [value])
            session.executemany("INSERT INTO t VALUES (?, ?)", [(n, f"{n}") for n in range(200)])
        session.execute("COMMIT")
        longest = max(len(piece) for piece in script.statements(Reader(session)))
    assert longest < 5 << 20
    taken = sqlite_files.take("a.db")
    (sqlite_files.home / "b.db").touch()
    sqlite_files.put(taken, "b.db")
    for name in ("a.db", "b.db"):
        with closing(sqlite3.connect(sqlite_files.home / name)) as session:
            found = [row[0] for row in session.execute("SELECT a FROM t WHERE b = 2 AND a != 2")]
            assert found == [value for value in values if value is not None], name
            assert session.execute("SELECT count(*), sum(a IS NULL) FROM t").fetchone() == (2510, 1)
            assert session.execute("SELECT length(word) FROM wordy").fetchone() == (80_000,)
