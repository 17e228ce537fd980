"""The replication protocol: commands to a walsender, and what it streams back.

psycopg speaks no replication, so this goes to libpq itself. Waiting is done on the socket and never
inside libpq, which would keep every other thread of this process waiting too. One connection serves
one thread; a stop from another thread cancels it, and is heard even when the server is not.
"""

import select
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

_LISTEN_MS = 200  # how long a stop may go unheard when the server is silent
_CONNECT_MS = 30_000

Row = Mapping[str, str]
_TUPLES, _COMMAND, _COPY = (
    pq.ExecStatus.TUPLES_OK,
    pq.ExecStatus.COMMAND_OK,
    pq.ExecStatus.COPY_OUT,
)


class Replication:
    """An open walsender session."""

    def __init__(self, connection: abc.PGconn, endpoint: str, guard: Guard) -> None:
        self._connection = connection
        self._where = endpoint
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
            self._receive()
        result = self._connection.get_result()
        if result is not None and result.status not in (_TUPLES, _COMMAND, _COPY):
            raise self._failure(result.error_message)
        return result

    def rows(self) -> list[Row]:
        """The next result, which must be rows."""
        result = self.result()
        if result is None or result.status != _TUPLES:
            raise AddonUnavailable(f"the server at {self._where} said something unexpected")
        return list(_rows(result))

    def copied(self) -> Iterator[memoryview]:
        """What the current COPY streams, message by message."""
        dry = True
        while True:
            size, data = self._connection.get_copy_data(1)
            if size == -1:
                return
            if size < 0:
                raise self._failure(self._connection.error_message)
            if size == 0:
                # While the server is faster than we are there is more: nobody needs to wait.
                if dry:
                    self._wait()
                self._consume()
            else:
                yield data
            dry = size == 0

    def _receive(self) -> None:
        self._wait()
        self._consume()

    def _wait(self) -> None:
        """For more to read, at most until somebody says stop."""
        while not self._poll.poll(_LISTEN_MS):
            self._guard.check()

    def _consume(self) -> None:
        try:
            self._connection.consume_input()
        except psycopg.Error as error:
            raise self._failure(str(error).encode()) from error

    def _failure(self, message: bytes) -> Failure:
        """A stop's own reason first: what a cancelled server says is not why it ended."""
        self._guard.check()
        return replication_failure(message.decode("utf-8", "replace"), self._where)


def _rows(result: abc.PGresult) -> Iterator[Row]:
    names = [(result.fname(column) or b"").decode() for column in range(result.nfields)]
    for row in range(result.ntuples):
        values = [(result.get_value(row, column) or b"") for column in range(result.nfields)]
        yield {name: value.decode() for name, value in zip(names, values, strict=True)}


def _connected(connection: abc.PGconn, guard: Guard) -> None:
    """Until it is connected or is not; libpq does not count the time here."""
    waiting, silent = pq.PollingStatus.WRITING, 0
    over = (pq.PollingStatus.OK, pq.PollingStatus.FAILED)
    while connection.status != pq.ConnStatus.BAD and waiting not in over:
        if silent * _LISTEN_MS > _CONNECT_MS:
            raise AddonUnavailable("the server does not answer", reason="host")
        events = select.POLLIN if waiting == pq.PollingStatus.READING else select.POLLOUT
        poll = select.poll()
        poll.register(connection.socket, events)  # it may be another one each time
        if poll.poll(_LISTEN_MS):
            waiting = connection.connect_poll()
        else:
            silent += 1
        guard.check()


@contextmanager
def replication(address: Address, application: str, guard: Guard) -> Generator[Replication]:
    """NotSupported, naming what is missing, when the server lets nobody replicate like this."""
    endpoint = f"{address.host}:{address.port}"
    words = make_conninfo(
        conninfo(address, address.database, application),
        password=address.password.reveal(),
        replication="true",
    )
    connection: abc.PGconn = pq.PGconn.connect_start(words.encode())
    try:
        _connected(connection, guard)
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
