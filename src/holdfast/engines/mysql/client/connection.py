"""One session with a server; no other module uses the client library.

Statements are sent one at a time and nothing on our side interprets them: no shell escapes, no
scripts, no files for LOAD DATA LOCAL. The server refuses two statements in one text.
"""

import contextlib
import socket
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pymysql
from pymysql.connections import Connection
from pymysql.constants import CLIENT
from pymysql.cursors import Cursor, DictCursor, SSCursor

WireError = pymysql.err.MySQLError

Row = tuple[Any, ...]
_MAX_PACKET_BYTES = 1 << 30  # the largest that a server can be set to


class _Connection(Connection):  # type: ignore[type-arg]
    """Loads no system CAs when certificates are not verified: that takes longer than connecting."""

    def _create_ssl_ctx(self, sslp: "ssl.SSLContext | dict[str, Any]") -> ssl.SSLContext:
        return cast("Any", super())._create_ssl_ctx(sslp or _UNVERIFIED)


_UNVERIFIED = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For ssl-mode `preferred`, which takes the encryption that a server offers."""
_UNVERIFIED.check_hostname = False
_UNVERIFIED.verify_mode = ssl.CERT_NONE


class Session:
    """A session in autocommit, with text as utf8mb4. Only `cut` is safe from other threads."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:

        self._connection = cast(
            "Any",
            _Connection(
                **parameters,
                charset="utf8mb4",
                autocommit=True,
                local_infile=False,
                max_allowed_packet=_MAX_PACKET_BYTES,
                program_name="holdfast",
                defer_connect=True,
            ),
        )
        self._connection.client_flag &= ~CLIENT.MULTI_STATEMENTS  # PyMySQL's default
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
        """The version in the server's greeting."""
        return str(self._connection.get_server_info())

    def run(self, statement: bytes) -> None:
        """Runs one statement as it is and discards the result."""
        self._connection.query(statement)

    def execute(self, statement: str, arguments: Sequence[object] = ()) -> None:
        self.rows(statement, arguments)

    def rows(self, statement: str, arguments: Sequence[object] = ()) -> list[Row]:
        """`%s` stands for an argument; with arguments, `%%` stands for a percent sign."""
        cursor: Cursor = self._connection.cursor()
        with cursor:
            cursor.execute(statement, tuple(arguments) or None)
            return list(cast("Any", cursor).fetchall())

    def first_row(self, statement: bytes) -> Row | None:
        """The first row of a result that is not fetched further. The session ends with that."""
        cursor = self._connection.cursor(SSCursor)
        cursor.execute(statement)
        row: Row | None = cursor.fetchone()
        cursor._result.unbuffered_active = False  # else closing it reads all other rows
        self.cut()
        return row

    def named_rows(self, statement: str) -> list[dict[str, Any]]:
        """Rows whose columns differ between versions, by name."""
        cursor = self._connection.cursor(DictCursor)
        with cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def begin_stream(self, command: int, argument: bytes) -> socket.socket:
        """Sends a command whose answer never ends, and returns the socket to read that from. Then
        only `cut` and `close` are of use."""
        self._connection._execute_command(command, argument)
        return self._connection._sock

    def row(self, statement: str, arguments: Sequence[object] = ()) -> Row:
        rows = self.rows(statement, arguments)
        if not rows:
            raise LookupError(f"no row: {statement[:80]}")
        return rows[0]

    def value(self, statement: str, arguments: Sequence[object] = ()) -> Any:
        return self.row(statement, arguments)[0]

    def literal(self, text: str) -> str:
        """Quotes `text` as a string of SQL."""
        return str(self._connection.escape(text))

    def cut(self) -> None:
        """Ends the session from another thread: a pending statement fails."""
        sock: socket.socket | None = self._connection._sock
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(WireError, OSError):
            self._connection.close()


def quote_name(identifier: str) -> str:
    """Quotes an identifier for SQL."""
    return "`" + identifier.replace("`", "``") + "`"


def quote_qualified(database: str, identifier: str) -> str:
    """Quotes `database.identifier` for SQL."""
    return f"{quote_name(database)}.{quote_name(identifier)}"


def quote_pattern(database: str) -> str:
    """Quotes a database for GRANT, where `_` and `%` are wildcards unless escaped."""
    return quote_name(database.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%"))


def error_number(error: BaseException) -> int:
    """The server's number of an error; 0 when there is none."""
    first = error.args[0] if error.args else 0
    return first if isinstance(first, int) else 0


def as_text(value: object) -> str:
    """A value of the schema `mysql`, which some versions return as bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)
