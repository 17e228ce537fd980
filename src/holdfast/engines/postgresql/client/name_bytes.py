"""Names as bytes: a database of encoding SQL_ASCII may hold names that are not UTF-8.

In Python such a name is a `str` with surrogates for the bytes that are not UTF-8, as for file
names. For people and for catalogues those bytes are written as `\\xfc`.
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
    """Makes the session read names that are not UTF-8.

    The server converts nothing from or to SQL_ASCII, but refuses to send bytes that are not UTF-8
    to a session whose client encoding is UTF-8.
    """
    if session.info.parameter_status("server_encoding") == _RAW:
        session.execute(f"SET client_encoding TO {_RAW}".encode())
    for kind in ("text", "name", "varchar", "bpchar"):
        session.adapters.register_loader(kind, _AnyText)


def readable(name: str) -> str:
    """The name for people and for fields that must be text. Different names stay different."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def readable_bytes(text: bytes) -> str:
    """As `readable`, for bytes that are not decoded yet."""
    return text.decode("utf-8", "backslashreplace")


def is_text(name: str) -> bool:
    return _SURROGATES.search(name) is None


def quoted(*parts: str) -> bytes:
    """A quoted identifier as bytes, for a statement that is sent as it is."""
    names = (part.encode("utf-8", "surrogateescape") for part in parts)
    return b".".join(b'"' + name.replace(b'"', b'""') + b'"' for name in names)
