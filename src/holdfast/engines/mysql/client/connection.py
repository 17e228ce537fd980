"""One session with a server: the only file that knows the client library.

Statements go one at a time and nothing on our side reads them: no shell escapes, no scripts, no
files for LOAD DATA LOCAL. Two statements in one text are an error of the server.
"""

import contextlib
import socket
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pymysql
from pymysql.connections import Connection
from pymysql.constants import CLIENT
from pymysql.cursors import Cursor

WireError = pymysql.err.MySQLError

Row = tuple[Any, ...]
_PACKET = 1 << 30  # the largest the protocol's other end can be told to take


class _Connection(Connection):  # type: ignore[type-arg]
    """Where nobody's certificate is verified no authority is needed: reading those of the system
    takes longer than connecting."""

    def _create_ssl_ctx(self, sslp: "ssl.SSLContext | dict[str, Any]") -> ssl.SSLContext:
        return cast("Any", super())._create_ssl_ctx(sslp or _UNVERIFIED)


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


_UNVERIFIED = _unverified()
"""For whoever asked for no more than what the server offers."""


class Session:
    """In autocommit, with text as utf8mb4. Not for several threads, except `cut`."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        flags = CLIENT.MULTI_STATEMENTS
        self._connection = cast(
            "Any",
            _Connection(
                **parameters,
                charset="utf8mb4",
                autocommit=True,
                local_infile=False,
                max_allowed_packet=_PACKET,
                program_name="holdfast",
                defer_connect=True,
            ),
        )
        self._connection.client_flag &= ~flags  # the library asks for it by itself
        self._connection.connect()
        sock: socket.socket = self._connection._sock
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def id(self) -> int:
        return int(self._connection.thread_id())

    @property
    def banner(self) -> str:
        """The version as the server says it before anything else."""
        return str(self._connection.get_server_info())

    def run(self, statement: bytes) -> None:
        """One statement as it is; what it answers is thrown away."""
        self._connection.query(statement)

    def execute(self, statement: str, arguments: Sequence[object] = ()) -> None:
        self.rows(statement, arguments)

    def rows(self, statement: str, arguments: Sequence[object] = ()) -> list[Row]:
        """`%s` stands for an argument; with arguments, `%%` stands for a percent sign."""
        cursor: Cursor = self._connection.cursor()
        with cursor:
            cursor.execute(statement, tuple(arguments) or None)
            return list(cast("Any", cursor).fetchall())

    def row(self, statement: str, arguments: Sequence[object] = ()) -> Row:
        rows = self.rows(statement, arguments)
        if not rows:
            raise LookupError(f"no row: {statement[:80]}")
        return rows[0]

    def value(self, statement: str, arguments: Sequence[object] = ()) -> Any:
        return self.row(statement, arguments)[0]

    def literal(self, text: str) -> str:
        """As a quoted string of SQL."""
        return str(self._connection.escape(text))

    def cut(self) -> None:
        """Ends it from another thread: who waits for an answer gets an error."""
        sock: socket.socket | None = self._connection._sock
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(WireError, OSError):
            self._connection.close()


def name(identifier: str) -> str:
    """As a quoted name of SQL."""
    return "`" + identifier.replace("`", "``") + "`"


def pattern(database: str) -> str:
    """A database as GRANT names it: there `_` and `%` stand for others, unless escaped."""
    return name(database.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%"))


def code(error: BaseException) -> int:
    """The server's number of an error; 0 when there is none."""
    first = error.args[0] if error.args else 0
    return first if isinstance(first, int) else 0
