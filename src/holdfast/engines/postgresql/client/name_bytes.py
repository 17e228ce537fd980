"""Names as bytes: a database of encoding SQL_ASCII may hold names that are no UTF-8.

Such a name is a `str` with surrogates where its bytes are none of UTF-8, as Python has it for the
names of files. For people and for catalogues those bytes are written as `\\xfc`.
"""

import re

from psycopg import Connection
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.rows import TupleRow

_RAW = "SQL_ASCII"
_SURROGATES = re.compile("[\udc80-\udcff]")


class _AnyText(Loader):
    def load(self, data: Buffer) -> str:
        return bytes(data).decode("utf-8", "surrogateescape")


def read_any_name(session: Connection[TupleRow]) -> None:
    """The server converts nothing from or to SQL_ASCII, but refuses to send what is no UTF-8 to a
    session that says it wants that."""
    if session.info.parameter_status("server_encoding") == _RAW:
        session.execute(f"SET client_encoding TO {_RAW}".encode())
    for kind in ("text", "name", "varchar", "bpchar"):
        session.adapters.register_loader(kind, _AnyText)


def readable(name: str) -> str:
    """For people, and for where a name has to be text. Two names stay two."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def readable_bytes(text: bytes) -> str:
    """As `readable`, of a text that was not decoded yet."""
    return text.decode("utf-8", "backslashreplace")


def is_text(name: str) -> bool:
    return _SURROGATES.search(name) is None


def quoted(*parts: str) -> bytes:
    """An identifier, for a statement that is sent as it is."""
    return b".".join(b'"' + _encoded(part).replace(b'"', b'""') + b'"' for part in parts)


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
