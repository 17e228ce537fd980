"""The replication protocol: commands to a walsender, and what it streams back.

psycopg speaks no replication, so this goes to libpq itself. One connection serves one thread; a
stop from another thread cancels it.
"""

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager

from psycopg import pq
from psycopg.conninfo import make_conninfo
from psycopg.pq import abc

from holdfast.contracts.engine import Address
from holdfast.domain.errors import AddonUnavailable, Failure
from holdfast.engines.postgresql.address import conninfo
from holdfast.engines.postgresql.complaints import of_replication
from holdfast.kit.guard import Guard

Row = Mapping[str, str]
_TUPLES, _COMMAND, _COPY = (
    pq.ExecStatus.TUPLES_OK,
    pq.ExecStatus.COMMAND_OK,
    pq.ExecStatus.COPY_OUT,
)


class Replication:
    """An open walsender session."""

    def __init__(self, connection: abc.PGconn, where: str) -> None:
        self._connection = connection
        self._where = where

    def cancel(self) -> None:
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
        while True:
            size, data = self._connection.get_copy_data(0)
            if size == -1:
                return
            if size < 0:
                raise self._failure(self._connection.error_message)
            yield data

    def _failure(self, message: bytes) -> Failure:
        return of_replication(message.decode("utf-8", "replace"), self._where)


def _rows(result: abc.PGresult) -> Iterator[Row]:
    names = [(result.fname(column) or b"").decode() for column in range(result.nfields)]
    for row in range(result.ntuples):
        values = [(result.get_value(row, column) or b"") for column in range(result.nfields)]
        yield {name: value.decode() for name, value in zip(names, values, strict=True)}


@contextmanager
def replication(address: Address, application: str, guard: Guard) -> Generator[Replication]:
    """NotSupported, naming what is missing, when the server lets nobody replicate like this."""
    where = f"{address.host}:{address.port}"
    words = make_conninfo(
        conninfo(address, address.database, application),
        password=address.password.reveal(),
        replication="true",
    )
    connection: abc.PGconn = pq.PGconn.connect(words.encode())
    try:
        if connection.status != pq.ConnStatus.OK:
            raise of_replication(connection.error_message.decode("utf-8", "replace"), where)
        session = Replication(connection, where)
        release = guard.adopt(session.cancel)
        try:
            guard.check()
            yield session
        finally:
            release()
    finally:
        connection.finish()
