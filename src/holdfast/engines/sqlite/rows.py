"""The rows of a table as lines of SQL, many at once.

Of what kind the values of a column are is asked once for a portion of rows and not for each:
that is what makes it fast. Every row is one line, and every literal gives exactly its value.
"""

import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from holdfast.engines.sqlite.tables import Stored

_ROWS = 128
_NEXT = "),\n("
_TOGETHER = 1 << 20
"""Characters of rows in one statement: reading a statement costs more than reading a row."""


class _Text(bytes):
    """What SQLite says is text, apart from what it says is a blob."""


def inserted(session: sqlite3.Connection, table: Stored, encoding: str) -> Iterator[str]:
    """Statements of some rows each; a portion is small as long as its rows may be large."""
    head = f"INSERT INTO {table.quoted}({','.join(table.selected)}) VALUES\n"
    rows, writer, count = _Rows(session, table), _Writer(session, encoding), 1
    while portion := rows.take(count):
        columns = [writer.column(values) for values in zip(*portion, strict=True)]
        lines = list(map(",".join, zip(*columns, strict=True)))
        size = sum(map(len, lines))
        if size < _TOGETHER:
            yield f"{head}({_NEXT.join(lines)});\n"
        else:
            yield from (f"{head}({line});\n" for line in lines)
        count = max(1, min(_ROWS, count * 2, len(lines) * _TOGETHER // size))


class _Rows:
    """All of a table in its own order; an index that holds all columns is not read instead."""

    def __init__(self, session: sqlite3.Connection, table: Stored) -> None:
        self._session = session
        self._query = f"SELECT {','.join(table.selected)} FROM {table.quoted} NOT INDEXED"  # noqa: S608
        self._passed = 0
        self._texts: type[str | _Text] = str
        self._cursor = session.execute(self._query)

    def take(self, count: int) -> Sequence[Sequence[Any]]:
        """No more than `count` of them, none at the end.

        From the first text on that is no UTF-8 all texts come as `_Text`, which is slower.
        """
        try:
            rows = self._fetch(count)
        except sqlite3.OperationalError as error:
            if self._texts is _Text or "UTF-8" not in str(error):
                raise
            self._texts = _Text
            self._cursor = self._session.execute(f"{self._query} LIMIT -1 OFFSET {self._passed}")
            rows = self._fetch(count)
        self._passed += len(rows)
        return rows

    def _fetch(self, count: int) -> Sequence[Sequence[Any]]:
        self._session.text_factory = self._texts
        try:
            return self._cursor.fetchmany(count)
        finally:
            self._session.text_factory = str


class _Writer:
    """Values of a column as SQL."""

    def __init__(self, session: sqlite3.Connection, encoding: str) -> None:
        self._session = session
        self._encoding = encoding.lower()

    def column(self, values: Sequence[Any]) -> Sequence[str]:
        kinds = set(map(type, values))
        if kinds == {int}:
            return list(map(str, values))
        if kinds == {str} and not _special("".join(values)):
            return [f"'{value}'" for value in values]
        floats = iter(self._floats([value for value in values if type(value) is float]))
        return [next(floats) if type(value) is float else self._literal(value) for value in values]

    def _floats(self, values: Sequence[float]) -> Sequence[str]:
        """SQLite writes them: what it reads is not always the nearest number."""
        if not values:
            return []
        asked = ",".join(["quote(?)"] * len(values))
        found = self._session.execute(f"SELECT {asked}", values).fetchone()
        return [
            text if value and math.isfinite(value) else _odd(value)
            for value, text in zip(values, found, strict=True)
        ]

    def _literal(self, value: Any) -> str:
        match value:
            case None:
                return "NULL"
            case str():
                return self._text(value)
            case _Text():
                try:
                    return self._text(value.decode())
                except UnicodeDecodeError:
                    return f"CAST(X'{value.hex()}' AS TEXT)"
            case bytes():
                return f"X'{value.hex()}'"
            case _:
                return str(value)

    def _text(self, value: str) -> str:
        """Lines and what no shell reads become functions, so that a row stays one line."""
        if "\0" in value:
            return f"CAST(X'{value.encode(self._encoding).hex()}' AS TEXT)"
        quoted = quote(value)
        for character, code in _LINES.items():
            if character in value:
                token = _token(value, code)
                quoted = f"replace({quoted.replace(character, token)},'{token}',char({code}))"
        return quoted


_LINES: Mapping[str, int] = {"\n": 10, "\r": 13}


def _special(text: str) -> bool:
    return "'" in text or "\0" in text or any(character in text for character in _LINES)


def _odd(value: float) -> str:
    """What `quote` does not give exactly: infinity and the zero with a sign."""
    return repr(value) if value == 0 else f"{'-' * (value < 0)}9.0e+999"


def quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _token(text: str, code: int) -> str:
    """Something that does not occur in it."""
    number = 0
    while (token := f"\\{code}{number or ''}\\") in text:
        number += 1
    return token
