"""A follower of a binary log gets every byte once, and takes no other history for this one."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.holdfast import await_that
from fixtures.mysql import MySQLServer, StartMySQL
from holdfast.contracts.archive import FILE_SPAN, OTHER_HISTORY, Arrival, Log
from holdfast.domain.errors import AddonRefused, Failure, LogRemoved, OtherHistory
from holdfast.engines.mysql.client.connection import Session
from holdfast.engines.mysql.physical import binlog, log_replay
from holdfast.engines.mysql.physical.following import Following, follow
from holdfast.kit.clock import SystemClock
from holdfast.kit.processes.guard import Guard

LOGGING = ("--log-bin=mariadb-bin", "--binlog-format=ROW", "--sync-binlog=1", "--server-id=7")
IN_USE = 21
"""Offset of the flag that a server sets in the file that it writes."""


@pytest.fixture
def server(start_mysql: StartMySQL) -> MySQLServer:
    """With an empty log, in file 1."""
    server = start_mysql("logged", options=LOGGING)
    server.execute("RESET MASTER", "DROP DATABASE IF EXISTS d", "CREATE DATABASE d")
    server.execute("CREATE TABLE d.t (n INT PRIMARY KEY, v LONGTEXT)")
    return server


@contextmanager
def following(server: MySQLServer, slot: str = "s") -> Iterator[Following]:
    with follow(server.address, slot, Guard(SystemClock())) as log:
        yield log


class Copy:
    """What arrived: bytes by position of their file, and where it goes on."""

    def __init__(self) -> None:
        self.files: dict[int, bytearray] = {}
        self.end = 0

    def begin(self, log: Following) -> None:
        log.begin(log.line, self.end or log.oldest)

    def add(self, arrival: Arrival) -> None:
        file = self.files.setdefault(arrival.start // FILE_SPAN, bytearray())
        assert len(file) == arrival.start % FILE_SPAN
        file += arrival.data
        self.end = arrival.next or arrival.start + len(arrival.data)

    def catch_up(self, log: Following) -> None:
        until = log.vitals().position
        while self.end < until:
            arrival = log.receive(1)
            if arrival is not None:
                self.add(arrival)

    def require_equal(self, server: MySQLServer) -> None:
        for number, data in self.files.items():
            name = binlog.file_name("mariadb-bin", number * FILE_SPAN)
            stored = bytearray((server.place.directory / name).read_bytes())
            stored[IN_USE] &= 0xFE
            if number == max(self.files):  # the server notes a checkpoint there in its own time
                del stored[len(data) :]
            assert data == stored


def kill(server: MySQLServer) -> None:
    """The server recovers from the crash."""
    pid = server.engine.running(server.place)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await_that(lambda: server.engine.running(server.place) is None)
    server.start()


def stop(server: MySQLServer) -> None:
    server.engine.stop(server.place)
    server.start()


def rotate(server: MySQLServer) -> None:
    server.execute("FLUSH BINARY LOGS")


def test_the_bytes_are_those_of_the_files(server: MySQLServer) -> None:
    copy = Copy()
    server.execute("INSERT INTO d.t VALUES (1, REPEAT('x', 30000000))")
    with following(server) as log:
        copy.begin(log)
        copy.catch_up(log)
        rotate(server)
        server.execute("SET GLOBAL binlog_checksum = NONE", "INSERT INTO d.t VALUES (2, 'a')")
        server.execute("SET GLOBAL binlog_checksum = CRC32", "INSERT INTO d.t VALUES (3, 'b')")
        copy.catch_up(log)
    assert max(copy.files) == 4
    copy.require_equal(server)


@pytest.mark.parametrize("interrupt", [stop, kill, rotate])
def test_what_interrupts_the_server_leaves_no_hole(
    server: MySQLServer, interrupt: Callable[[MySQLServer], None]
) -> None:
    """One that was killed ends a file without a word."""
    copy = Copy()
    with following(server) as log, suppress(Failure):
        copy.begin(log)
        server.execute("INSERT INTO d.t VALUES (1, 'x')")
        copy.catch_up(log)
        server.execute("INSERT INTO d.t VALUES (2, 'y')")
        interrupt(server)
        while log.receive(0.2) is None:
            pass
    server.execute("INSERT INTO d.t VALUES (3, 'z')")
    with following(server) as log:
        copy.begin(log)
        copy.catch_up(log)
    assert max(copy.files) == 2
    copy.require_equal(server)


def test_restarts_without_changes_are_no_gap(server: MySQLServer) -> None:
    """Operators of MariaDB report one, because they compare the GTIDs of neighbouring files."""
    copy = Copy()
    for _ in range(2):
        stop(server)
        with following(server) as log:
            copy.begin(log)
            copy.catch_up(log)
    copy.require_equal(server)


def test_a_torn_event_at_the_end_of_a_file_is_no_gap(server: MySQLServer) -> None:
    """A server that was killed while it wrote leaves one, and does not read it either."""
    copy = Copy()
    with following(server) as log:
        copy.begin(log)
        server.execute("INSERT INTO d.t VALUES (1, 'x')")
        copy.catch_up(log)
    pid = server.engine.running(server.place)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await_that(lambda: server.engine.running(server.place) is None)
    path = server.place.directory / "mariadb-bin.000001"
    whole = path.read_bytes()
    with path.open("ab") as file:
        file.write(whole[-60:-20])
    server.start()
    server.execute("INSERT INTO d.t VALUES (2, 'y')")
    with following(server) as log:
        copy.begin(log)
        copy.catch_up(log)
    assert copy.files[1][IN_USE + 1 :] == whole[IN_USE + 1 :]
    assert max(copy.files) == 2


def await_failure(log: Following) -> None:
    while True:
        log.vitals()
        log.receive(0.2)


def test_reset_master_is_another_history(server: MySQLServer) -> None:
    copy = Copy()
    rotate(server)
    with following(server) as log:
        copy.begin(log)
        copy.catch_up(log)
        server.execute("RESET MASTER")
        with pytest.raises(OtherHistory, match=OTHER_HISTORY):
            await_failure(log)


def test_a_file_with_other_events_is_another_history(server: MySQLServer) -> None:
    copy = Copy()
    with following(server) as log:
        copy.begin(log)
        server.execute("INSERT INTO d.t VALUES (1, 'some text')")
        copy.catch_up(log)
    server.execute("RESET MASTER", "INSERT INTO d.t VALUES (2, REPEAT('x', 100000))")
    with following(server) as log:
        copy.begin(log)
        with pytest.raises(OtherHistory, match=OTHER_HISTORY):
            await_failure(log)


def test_a_purged_file_is_removed_log(server: MySQLServer) -> None:
    copy = Copy()
    with following(server) as log:
        copy.begin(log)
        copy.catch_up(log)
    rotate(server)
    server.execute("INSERT INTO d.t VALUES (1, 'x')")
    rotate(server)
    server.execute("PURGE BINARY LOGS TO 'mariadb-bin.000003'")
    with following(server) as log:
        copy.begin(log)
        with pytest.raises(LogRemoved, match="before it was stored"):
            await_failure(log)


def test_a_managed_server_removes_what_is_stored(server: MySQLServer) -> None:
    """But for the file with the last byte, to compare it after a restart of ours."""
    rotate(server)
    rotate(server)
    address = replace(server.address, owner="owner")
    with follow(address, "s", Guard(SystemClock())) as log:
        log.begin(log.line, log.oldest)
        log.keep(3 * FILE_SPAN)
        names = [str(row[0]) for row in server.execute("SHOW BINARY LOGS")]
        assert names == ["mariadb-bin.000002", "mariadb-bin.000003"]
        assert log.vitals().limit is not None


def test_a_successor_ends_the_stream_of_its_predecessor(server: MySQLServer) -> None:
    with following(server) as old, following(server) as new:
        Copy().begin(old)
        Copy().begin(new)
        with pytest.raises(Failure):
            await_failure(old)
        new.receive(1)


def test_the_transactions_are_those_of_the_server(server: MySQLServer, root: Session) -> None:
    """In one session: by rows, a statement of its own, one that is compressed, and two phases."""
    definition = f"CREATE EVENT d.e ON SCHEDULE EVERY 1 DAY DO SELECT '{'long' * 200}'"
    gtids: list[str] = []
    with root as session:
        session.execute("SET GLOBAL log_bin_compress = 1, GLOBAL log_bin_compress_min_len = 10")
        for statements in (
            ["INSERT INTO d.t VALUES (1, 'x')"],
            ["CREATE TABLE d.u (n INT) ENGINE=MyISAM"],
            ["INSERT INTO d.u VALUES (1)"],
            [definition],
            ["XA START 'x'", "INSERT INTO d.t VALUES (2, 'y')", "XA END 'x'", "XA PREPARE 'x'"],
            ["XA COMMIT 'x'"],
        ):
            for statement in statements:
                session.execute(statement)
            gtids.append(str(session.value("SELECT @@last_gtid")))
        session.execute("SET GLOBAL log_bin_compress = 0")
    end = FILE_SPAN + (server.place.directory / "mariadb-bin.000001").stat().st_size
    log = Log(server.place.directory, [("mariadb-bin", FILE_SPAN, end)], FILE_SPAN)
    transactions = list(log_replay.transactions(log))[-len(gtids) :]
    assert [transaction.gtid for transaction in transactions] == gtids
    events = [item.statement for item in transactions if item.statement is not None]
    texts = [binlog.query_of(event).text for event in events]
    assert [text for text in texts if log_replay.defines_event(text)] != []
    assert transactions[-1].end == end


@pytest.fixture
def root(server: MySQLServer) -> Iterator[Session]:
    with server.connect() as session:
        yield session


def test_names_what_a_server_lacks(
    start_mysql: StartMySQL, server: MySQLServer, root: Session
) -> None:
    def lacks(server: MySQLServer) -> list[str]:
        return list(server.engine.lacks(server.address, unbounded=False))

    assert lacks(server) == []
    with following(server) as log:
        root.execute("SET GLOBAL binlog_format = MIXED, GLOBAL sync_binlog = 0")
        try:
            by_format, by_sync = lacks(server)
            with pytest.raises(AddonRefused, match="settings were changed"):
                log.vitals()
        finally:
            root.execute("SET GLOBAL binlog_format = ROW, GLOBAL sync_binlog = 1")
    assert "SET GLOBAL binlog_format = 'ROW'" in by_format
    assert "SET GLOBAL sync_binlog = 1" in by_sync
    silent = start_mysql("source")
    assert any("set log_bin and restart it" in problem for problem in lacks(silent))


def test_encrypted_files_arrive_open(mysql_root: Path, start_mysql: StartMySQL) -> None:
    """Our seal protects them from then on."""
    keys = mysql_root / "keys.txt"
    keys.write_text("1;" + "a1" * 16 + "\n")
    keys.chmod(0o644)
    plugin = ("--plugin-load-add=file_key_management", f"--file-key-management-filename={keys}")
    server = start_mysql("sealed", options=(*LOGGING, *plugin, "--encrypt-binlog=1"))
    server.execute("CREATE DATABASE IF NOT EXISTS d", "CREATE TABLE d.t (v TEXT)")
    server.execute("INSERT INTO d.t VALUES ('readable')")
    copy = Copy()
    with following(server) as log:
        copy.begin(log)
        copy.catch_up(log)
    assert b"readable" in copy.files[1]
