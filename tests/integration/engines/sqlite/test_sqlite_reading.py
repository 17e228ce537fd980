"""A file that is written down while it is copied: one content, and nobody waits for who reads."""

import sqlite3
import threading
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from fixtures.postgres import a_guard
from fixtures.sqlite_data import contents, fingerprint, make
from fixtures.sqlite_files import SqliteFiles
from holdfast.contracts.engine import EVERYTHING
from holdfast.domain.errors import AddonUnavailable, ChildFailed, Interrupted
from holdfast.engines.sqlite.client import scratch
from holdfast.engines.sqlite.physical import file_copy
from holdfast.engines.sqlite.physical.file_copy import ReadTransaction
from holdfast.kit.processes.guard import Guard

SOME = 1 << 16


class Slow:
    """Copies begin when they are allowed to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.allowed, self.done = threading.Event(), threading.Event()
        copy, release = ReadTransaction.copy, ReadTransaction.release

        def late(
            held: ReadTransaction, target: Path, guard: Guard, rate: int | None = None
        ) -> None:
            while not self.allowed.wait(0.01):
                guard.check()
            copy(held, target, guard, rate)

        def told(held: ReadTransaction) -> None:
            release(held)
            self.done.set()

        monkeypatch.setattr(ReadTransaction, "copy", late)
        monkeypatch.setattr(ReadTransaction, "release", told)

    def go(self) -> None:
        """Returns when the file was let go."""
        self.allowed.set()
        assert self.done.wait(60)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    return Slow(monkeypatch)


@contextmanager
def impatient(path: Path) -> Generator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as session:
        yield session


@pytest.mark.parametrize("wal", [False, True])
@pytest.mark.parametrize("portions", [0, 1, 3])
def test_a_table_that_is_half_read_goes_on_in_the_copy(
    sqlite_files: SqliteFiles, slow: Slow, wal: bool, portions: int
) -> None:
    """What others write meanwhile is not in it, and they wait for the copy alone."""
    path = sqlite_files.home / "a.db"
    make(path, rows=3000, wal=wal)
    before = fingerprint(path)
    with sqlite_files.engine.dump(
        sqlite_files.at("a.db"), EVERYTHING, sqlite_files.log.attempt(), a_guard()
    ) as session:
        source = session.open(session.members[0])
        parts = [source.read(SOME) for _ in range(portions)]
        with impatient(path) as other:
            if not wal:
                with pytest.raises(sqlite3.OperationalError, match="locked"):
                    other.execute("DELETE FROM hidden_rowids")
            slow.go()
            other.execute("DELETE FROM hidden_rowids")
            other.execute("DROP TABLE pairs")
            if wal:
                assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        parts += iter(lambda: source.read(SOME), b"")
        source.finish()
    shell = sqlite_files.home / "shell.db"
    with closing(sqlite3.connect(shell)) as made:
        made.executescript(b"".join(parts).decode())
    assert fingerprint(shell) == before


def test_text_that_is_no_utf_8_on_both_sides_of_the_turn(
    sqlite_files: SqliteFiles, slow: Slow
) -> None:
    with closing(sqlite3.connect(sqlite_files.home / "a.db", isolation_level=None)) as made:
        made.execute("CREATE TABLE t (v TEXT)")
        made.execute("BEGIN")
        for _ in range(3):
            made.executemany("INSERT INTO t VALUES (?)", [(f"{n}" * 90,) for n in range(400)])
            made.execute("INSERT INTO t VALUES (CAST(X'ff41' AS TEXT))")
        made.execute("COMMIT")
    before = contents(sqlite_files.home / "a.db")
    with sqlite_files.engine.dump(
        sqlite_files.at("a.db"), EVERYTHING, sqlite_files.log.attempt(), a_guard()
    ) as session:
        source = session.open(session.members[0])
        parts = [source.read(SOME) for _ in range(3)]
        assert b"CAST(X'ff41' AS TEXT)" in b"".join(parts)
        slow.go()
        parts += iter(lambda: source.read(SOME), b"")
        source.finish()
    assert b"".join(parts).count(b"CAST(X'ff41' AS TEXT)") == 3
    with closing(sqlite3.connect(sqlite_files.home / "b.db")) as made:
        made.executescript(b"".join(parts).decode())
    assert contents(sqlite_files.home / "b.db") == before


def test_what_hinders_the_copy_ends_the_dump(
    sqlite_files: SqliteFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise ChildFailed("cp: no space left on device")

    monkeypatch.setattr(file_copy, "_copy_at_once", full)
    make(sqlite_files.home / "a.db")
    with sqlite_files.engine.dump(
        sqlite_files.at("a.db"), EVERYTHING, sqlite_files.log.attempt(), a_guard()
    ) as session:
        source = session.open(session.members[0])
        for ask in (session.inventory, lambda: source.read(SOME), source.finish):
            with pytest.raises(ChildFailed, match="no space"):
                ask()
    with impatient(sqlite_files.home / "a.db") as other:
        other.execute("DELETE FROM hidden_rowids")


@pytest.mark.parametrize("wal", [False, True])
def test_a_dump_that_is_given_up_lets_the_file_go(
    sqlite_files: SqliteFiles, slow: Slow, wal: bool
) -> None:
    """While it is copied, as here, or read."""
    make(sqlite_files.home / "a.db", rows=3000, wal=wal)
    guard = a_guard()
    with sqlite_files.engine.dump(
        sqlite_files.at("a.db"), EVERYTHING, sqlite_files.log.attempt(), guard
    ) as session:
        source = session.open(session.members[0])
        assert source.read(SOME)
        guard.stop(Interrupted("aborted on request"))
        with pytest.raises(Interrupted):
            source.read(SOME)
    assert not slow.allowed.is_set()
    with impatient(sqlite_files.home / "a.db") as other:
        other.execute("DELETE FROM hidden_rowids")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    scratch.wait_for_removals()
    assert not list(scratch.home(sqlite_files.home.parent / "state" / "tools").rglob("copy.db"))


def test_both_begin_anew_until_they_see_the_same(
    sqlite_files: SqliteFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others commit between the two beginnings, twice."""
    path = sqlite_files.home / "a.db"
    make(path, wal=True)
    begin, begun = file_copy.begin, list[int]()

    with impatient(path) as other:

        def interfered(session: sqlite3.Connection) -> None:
            begun.append(1)
            if len(begun) in (3, 5):
                other.execute(f"INSERT INTO parent VALUES ({len(begun)})")
            begin(session)

        monkeypatch.setattr(file_copy, "begin", interfered)
        with (
            file_copy.read_transaction(path) as source,
            file_copy.parallel_session(source, a_guard()) as session,
        ):
            assert len(begun) == 7  # one alone, and three times both
            other.execute("INSERT INTO parent VALUES (99)")
            query = "SELECT group_concat(id) FROM parent"
            for each in (source.session, session):
                assert each.execute(query).fetchone() == ("1,2,3,5",)


def test_a_log_that_never_rests(sqlite_files: SqliteFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> bool:
        return False

    make(sqlite_files.home / "a.db", wal=True)
    monkeypatch.setattr(file_copy, "BUSY_SECONDS", 0.1)
    monkeypatch.setattr(file_copy, "_begin_together", never)
    with pytest.raises(AddonUnavailable, match=r"a\.db is written to without any pause"):
        sqlite_files.take("a.db")
