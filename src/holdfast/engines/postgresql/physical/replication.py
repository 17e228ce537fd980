"""Speaks the replication protocol: commands to a walsender, and what it streams back.

psycopg speaks no replication, so this uses libpq itself. Waiting is done on the socket and never
inside libpq, which would block every other thread of this process. One connection serves one
thread; a stop from another thread cancels it, and works even when the server does not answer.
"""

import select
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo
from psycopg.pq import abc

from holdfast.contracts.engine import Address
from holdfast.domain.errors import AddonUnavailable, Failure
from holdfast.engines.postgresql.client.address import conninfo
from holdfast.engines.postgresql.client.server_errors import replication_failure
from holdfast.kit.processes.guard import Guard

_POLL_MS = 200  # a stop is noticed after this time when the server is silent
_CONNECT_MS = 30_000

Row = Mapping[str, str]
_TUPLES, _BOTH = pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COPY_BOTH
_SOUND = (
    _TUPLES,
    pq.ExecStatus.COMMAND_OK,
    pq.ExecStatus.COPY_OUT,
    _BOTH,
    pq.ExecStatus.COPY_IN,  # the server has ended its direction of both
)


class Replication:
    """An open walsender session."""

    def __init__(self, connection: abc.PGconn, endpoint: str, guard: Guard) -> None:
        self._connection = connection
        self._endpoint = endpoint
        self._guard = guard
        self._poll = select.poll()
        self._poll.register(connection.socket, select.POLLIN)

    def cancel(self) -> None:
        """Safe from any thread. A server that cannot be reached any more needs no cancel."""
        with suppress(psycopg.Error):
            self._connection.get_cancel().cancel()

    def ask(self, command: str) -> list[Row]:
        """The rows of a command that answers with one result."""
        rows: list[Row] = []
        self.send(command)
        while (result := self.result()) is not None:
            rows = rows or list(_rows(result))
        return rows

    def send(self, command: str) -> None:
        self._connection.send_query(command.encode())

    def result(self) -> abc.PGresult | None:
        """The next result; None after the last. A failed one is raised."""
        while self._connection.is_busy():
            self._wait()
            self._consume()
        result = self._connection.get_result()
        if result is not None and result.status not in _SOUND:
            raise self._failure(result.error_message)
        return result

    def rows(self) -> list[Row]:
        """The next result, which must be rows."""
        result = self.result()
        if result is None or result.status != _TUPLES:
            raise AddonUnavailable(f"the server at {self._endpoint} said something unexpected")
        return list(_rows(result))

    def copied(self) -> Iterator[memoryview]:
        """The messages that the current COPY streams."""
        dry = True
        while True:
            size, data = self._connection.get_copy_data(1)
            if size == -1:
                return
            if size < 0:
                raise self._failure(self._connection.error_message)
            if size == 0:
                # While the server is faster than we are there is more to read without waiting.
                if dry:
                    self._wait()
                self._consume()
            else:
                yield data
            dry = size == 0

    def begin_both(self, command: str) -> None:
        """Sends a command that answers with a COPY in both directions."""
        self.send(command)
        result = self.result()
        if result is None or result.status != _BOTH:
            raise AddonUnavailable(f"the server at {self._endpoint} does not stream")

    def next_message(self, seconds: float) -> bytes | memoryview | None:
        """The next message of a COPY in both directions; None: none came within that time. Empty:
        the server has ended the COPY, and the next result tells why."""
        deadline = time.monotonic() + seconds
        while True:
            size, data = self._connection.get_copy_data(1)
            if size > 0:
                return data
            if size == -1:
                return b""
            if size < 0:
                raise self._failure(self._connection.error_message)
            left_ms = round(1000 * (deadline - time.monotonic()))
            if left_ms <= 0:
                return None
            if self._poll.poll(min(left_ms, _POLL_MS)):
                self._consume()
            self._guard.check()

    def rest(self, seconds: float) -> None:
        """Reads nothing for a while; raises the reason of a stop."""
        time.sleep(seconds)
        self._guard.check()

    def put(self, message: bytes) -> None:
        """Sends a message of a COPY in both directions."""
        try:
            self._connection.put_copy_data(message)
            self._connection.flush()
        except psycopg.Error as error:
            raise self._failure(str(error).encode()) from error

    def end_both(self) -> None:
        """Ends our direction of a COPY, after the server ended its own.

        libpq says the same of a COPY that failed; only the next result tells, and is raised.
        """
        self.result()
        try:
            self._connection.put_copy_end()
            self._connection.flush()
        except psycopg.Error as error:
            raise self._failure(str(error).encode()) from error

    def _wait(self) -> None:
        """Waits until there is more to read; raises the reason of a stop."""
        while not self._poll.poll(_POLL_MS):
            self._guard.check()

    def _consume(self) -> None:
        try:
            self._connection.consume_input()
        except psycopg.Error as error:
            raise self._failure(str(error).encode()) from error

    def _failure(self, message: bytes) -> Failure:
        """Raises the reason of a stop first: a cancelled server's message is not the cause."""
        self._guard.check()
        return replication_failure(message.decode("utf-8", "replace"), self._endpoint)


def _rows(result: abc.PGresult) -> Iterator[Row]:
    names = [(result.fname(column) or b"").decode() for column in range(result.nfields)]
    for row in range(result.ntuples):
        values = [(result.get_value(row, column) or b"") for column in range(result.nfields)]
        yield {name: value.decode() for name, value in zip(names, values, strict=True)}


def _await_connected(connection: abc.PGconn, guard: Guard) -> None:
    """Waits until the connect succeeds or fails; libpq does not limit its time."""
    waiting, silent = pq.PollingStatus.WRITING, 0
    over = (pq.PollingStatus.OK, pq.PollingStatus.FAILED)
    while connection.status != pq.ConnStatus.BAD and waiting not in over:
        if silent * _POLL_MS > _CONNECT_MS:
            raise AddonUnavailable("the server does not answer", reason="host")
        events = select.POLLIN if waiting == pq.PollingStatus.READING else select.POLLOUT
        poll = select.poll()
        poll.register(connection.socket, events)  # each attempt may have another socket
        if poll.poll(_POLL_MS):
            waiting = connection.connect_poll()
        else:
            silent += 1
        guard.check()


@contextmanager
def replication(address: Address, application: str, guard: Guard) -> Generator[Replication]:
    """NotSupported, naming what is missing, when the server does not let the user replicate."""
    endpoint = f"{address.host}:{address.port}"
    words = make_conninfo(
        conninfo(address, address.database, application),
        password=address.password.reveal(),
        replication="true",
    )
    connection: abc.PGconn = pq.PGconn.connect_start(words.encode())
    try:
        _await_connected(connection, guard)
        if connection.status != pq.ConnStatus.OK:
            raise replication_failure(connection.error_message.decode("utf-8", "replace"), endpoint)
        session = Replication(connection, endpoint, guard)
        release = guard.adopt(session.cancel)
        try:
            guard.check()
            yield session
        finally:
            release()
    finally:
        connection.finish()
