"""Worker and server are killed while a MariaDB is written to; then any transaction comes back."""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import pytest

from fixtures.archived_mariadb import ArchivedMariaDB, archived_mariadb
from fixtures.holdfast import await_restore, await_that
from holdfast.contracts.archive import REPLAYING
from holdfast.domain.errors import Failure
from holdfast.engines.mysql.client.address import connect, parse
from holdfast.engines.mysql.client.connection import Session, WireError
from holdfast.kit.clock import rfc3339


@dataclass
class Writer:
    """Writes one row after the other; knows the transaction of each that was acknowledged, and
    between which times, in ms, that was."""

    uri: str
    number: int
    acknowledged: dict[int, str] = field(default_factory=dict[int, str])
    times: dict[int, tuple[int, int]] = field(default_factory=dict[int, tuple[int, int]])

    def work(self, over: threading.Event) -> None:
        address, row = parse(self.uri), 0
        while not over.is_set():
            with (
                suppress(Failure, WireError, OSError),
                connect(address, address.database) as session,
            ):
                while not over.is_set():
                    row += 1
                    self._write(session, row)
            over.wait(0.05)

    def _write(self, session: Session, row: int) -> None:
        table, began = f"w{self.number}", now_ms()
        if row % 97 == 0:  # large ones are written in several parts
            session.execute("BEGIN")
            session.execute(f"INSERT INTO {table} VALUES ({row}, REPEAT('x', 200000))")
            session.execute("COMMIT")
        else:
            session.execute(f"INSERT INTO {table} VALUES ({row}, '')")
        self.times[row] = began, now_ms()
        self.acknowledged[row] = str(session.value("SELECT @@last_gtid"))


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@contextmanager
def writing(archived: ArchivedMariaDB) -> Iterator[list[Writer]]:
    writers = [Writer(archived.uri(), number) for number in range(2)]
    for writer in writers:
        archived.sql(f"CREATE OR REPLACE TABLE w{writer.number} (n INT PRIMARY KEY, v LONGTEXT)")
    over = threading.Event()
    threads = [threading.Thread(target=writer.work, args=(over,)) for writer in writers]
    for thread in threads:
        thread.start()
    try:
        yield writers
    finally:
        over.set()
        for thread in threads:
            thread.join()


def kill_worker(archived: ArchivedMariaDB) -> None:
    archived.kill()
    archived.start()


def kill_server(archived: ArchivedMariaDB) -> None:
    """Its supervisor starts it again."""
    pid_file = archived.addon_home / "data" / "holdfast.pid"
    pid = int(pid_file.read_text())
    os.kill(pid, signal.SIGKILL)

    def is_back() -> bool:
        with suppress(Failure, OSError, ValueError):
            return int(pid_file.read_text()) != pid and archived.sql("SELECT 1") == [(1,)]
        return False

    await_that(is_back, 60, archived.why)


def kill_both(archived: ArchivedMariaDB) -> None:
    pid = int((archived.addon_home / "data" / "holdfast.pid").read_text())
    archived.kill()
    os.kill(pid, signal.SIGKILL)
    archived.start()
    await_that(lambda: archived.status() == "running", 60, archived.why)


FAULTS = (kill_server, kill_worker, kill_both)


@pytest.fixture(scope="module")
def archived() -> Iterator[ArchivedMariaDB]:
    with archived_mariadb() as installation:
        yield installation


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [1, 20])
def test_any_acknowledged_transaction_comes_back(archived: ArchivedMariaDB, rounds: int) -> None:
    chance = random.Random(rounds)
    for _ in range(rounds):
        gaps = archived.archive()["gaps"]
        with writing(archived) as writers:
            await_written(archived, writers, 50)
            archived.backup()
            for fault in FAULTS:
                await_written(archived, writers, 50)
                fault(archived)
            await_written(archived, writers, 50)
        archived.await_stored()
        assert archived.archive()["gaps"] == gaps
        writer, other = chance.sample(writers, 2)
        row, gtid = chance.choice(list(writer.acknowledged.items()))
        archived.recover(withTransaction=gtid)
        assert archived.sql(f"SELECT max(n) FROM w{writer.number}") == [(row,)]
        require_acknowledged(archived, writer, row)
        [(reached,)] = archived.sql(f"SELECT coalesce(max(n), 0) FROM w{other.number}")
        require_acknowledged(archived, other, reached)
        await_gaps(archived, len(gaps) + 1)

        # In the line before: what was archived there stays restorable.
        _, instant = chance.choice(list(writer.times.values()))
        archived.recover(targetTimestamp=rfc3339(instant))
        for writer in writers:
            require_state_at(archived, writer, instant)
        await_gaps(archived, len(gaps) + 2)


@pytest.mark.slow
def test_a_replay_that_was_cut_off_begins_anew(archived: ArchivedMariaDB) -> None:
    """What it did to the files cannot be done twice."""
    gaps = archived.archive()["gaps"]
    archived.sql("CREATE OR REPLACE TABLE once (n INT)")
    archived.sql("INSERT INTO once VALUES (1)")
    archived.await_stored()
    position = archived.position()
    archived.sql("DELETE FROM once")
    archived.await_stored()
    started = archived.api.post(f"{archived.addon}/pitr", {"targetPosition": position}).data
    home = archived.addon_home
    await_that(lambda: list(home.glob(f"restore-*/{REPLAYING}")))
    archived.kill()
    archived.start()
    backup = f"{archived.addon}/backups/{started['id']}"
    await_restore(archived.api, backup, started["restoreId"])
    assert archived.sql("SELECT n FROM once") == [(1,)]
    await_gaps(archived, len(gaps) + 1)


def require_state_at(archived: ArchivedMariaDB, writer: Writer, instant: int) -> None:
    """All that was acknowledged by then, and nothing that began in a later second."""
    rows = {n for (n,) in archived.sql(f"SELECT n FROM w{writer.number}")}
    assert {n for n, (_, acknowledged) in writer.times.items() if acknowledged < instant} <= rows
    assert not {n for n, (began, _) in writer.times.items() if began >= instant + 1000} & rows


def await_gaps(archived: ArchivedMariaDB, count: int) -> None:
    """After a restore: until the snapshot is there that begins the next window."""
    await_that(lambda: len(archived.archive()["gaps"]) == count, 60, archived.why)


def await_written(archived: ArchivedMariaDB, writers: list[Writer], more: int) -> None:
    enough = [len(writer.acknowledged) + more for writer in writers]

    def is_enough() -> bool:
        counts = [len(writer.acknowledged) for writer in writers]
        return all(count >= least for count, least in zip(counts, enough, strict=True))

    await_that(is_enough, 60, archived.why)


def require_acknowledged(archived: ArchivedMariaDB, writer: Writer, until: int) -> None:
    """A row whose acknowledgement was lost may be there, too."""
    rows = {n for (n,) in archived.sql(f"SELECT n FROM w{writer.number}")}
    assert {n for n in writer.acknowledged if n <= until} <= rows
    assert max(rows, default=0) <= until
