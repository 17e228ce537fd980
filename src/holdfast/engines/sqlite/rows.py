"""The rows of a table as lines of SQL, many at once.

Of what kind the values of a column are is asked once for a portion of rows and not for each:
that is what makes it fast. Every row is one line, and every literal gives exactly its value.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from holdfast.engines.sqlite.reading import Reader, Row, Text
from holdfast.engines.sqlite.tables import Stored

_ROWS = 128
_NEXT = "),\n("
_TOGETHER = 1 << 20
"""Characters of rows in one statement: reading a statement costs more than reading a row."""


def inserted(reader: Reader, table: Stored, encoding: str) -> Iterator[str]:
    """Statements of some rows each; a portion is small as long as its rows may be large."""
    head = f"INSERT INTO {table.quoted}({','.join(table.selected)}) VALUES\n"
    writer, count = _Writer(reader, encoding), 1
    reader.begin(table)
    while portion := reader.take(count):
        line, values = writer.lines(portion)
        pattern = _NEXT.join([line] * len(portion))
        text = pattern % tuple(chain.from_iterable(values))
        if len(portion) == 1 or len(text) < _TOGETHER:
            yield f"{head}({text});\n"
        else:
            yield from (f"{head}({line % row});\n" for row in values)
        count = max(1, min(_ROWS, count * 2, len(portion) * _TOGETHER // len(text)))


class _Writer:
    """Values of a column as SQL."""

    def __init__(self, reader: Reader, encoding: str) -> None:
        self._reader = reader
        self._encoding = encoding.lower()

    def lines(self, portion: Sequence[Row]) -> tuple[str, Sequence[Row]]:
        """A pattern that makes a line of a row, and what it is to be filled with row by row.

        Most columns of most portions are filled with the values as they are, and then these are
        the rows themselves.
        """
        columns = list(zip(*portion, strict=True))
        written = [self._column(values) for values in columns]
        line = ",".join(pattern for pattern, _ in written)
        if all(found is values for (_, found), values in zip(written, columns, strict=True)):
            return line, portion
        return line, list(zip(*(found for _, found in written), strict=True))

    def _column(self, values: Row) -> tuple[str, Sequence[Any]]:
        """The pattern of one literal, and what fills it: the values themselves where they can."""
        kinds = set(map(type, values))
        if kinds == {int}:
            return "%d", values
        if kinds == {str} and not _special("".join(values)):
            return "'%s'", values
        floats = iter(self._floats([value for value in values if type(value) is float]))
        return "%s", [
            next(floats) if type(value) is float else self._literal(value) for value in values
        ]

    def _floats(self, values: Sequence[float]) -> Sequence[str]:
        """SQLite writes them: what it reads is not always the nearest number."""
        if not values:
            return []
        query = f"SELECT {','.join(['quote(?)'] * len(values))}"
        found = self._reader.ask(lambda session: session.execute(query, values).fetchone())
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
            case Text():
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
