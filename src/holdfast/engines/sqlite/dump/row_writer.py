"""The rows of a table as lines of SQL, many at once.

Of what kind the values of a column are is asked once for a portion of rows and not for each:
that is what makes it fast. Every row is one line, and a large one is written in pieces.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from holdfast.engines.sqlite.client.literals import is_plain, literal
from holdfast.engines.sqlite.client.tables import Stored
from holdfast.engines.sqlite.dump.row_reader import LARGE, Reader, Row, weight

_ROWS = 128
_NEXT = "),\n("


def inserted(reader: Reader, table: Stored, encoding: str) -> Iterator[str]:
    """Statements of some rows each, or of a large one, in pieces of a few megabytes at most."""
    head = f"INSERT INTO {table.quoted}({','.join(table.selected)}) VALUES\n("
    writer = _Writer(reader, encoding)
    reader.begin(table)
    while portion := reader.take(_ROWS):
        large = portion[-1:] if weight(portion[-1]) >= LARGE else ()
        few = portion[: len(portion) - len(large)]
        if few:
            yield f"{head}{writer.together(few)});\n"
        for row in large:
            yield head
            yield from writer.pieces(row)
            yield ");\n"


class _Writer:
    def __init__(self, reader: Reader, encoding: str) -> None:
        self._reader = reader
        self._encoding = encoding

    def together(self, rows: Sequence[Row]) -> str:
        """One pattern is filled with all values at once.

        Most columns are filled with the values as they are: then these are the rows themselves.
        """
        columns = list(zip(*rows, strict=True))
        written = [self._column(values) for values in columns]
        if any(filled is not values for (_, filled), values in zip(written, columns, strict=True)):
            rows = list(zip(*(filled for _, filled in written), strict=True))
        line = ",".join(pattern for pattern, _ in written)
        return _NEXT.join([line] * len(rows)) % tuple(chain.from_iterable(rows))

    def pieces(self, row: Row) -> Iterator[str]:
        for number, value in enumerate(row):
            yield "," if number else ""
            if isinstance(value, str | bytes):
                yield from literal(value, self._encoding).pieces()
            else:
                yield from self._mixed([value])

    def _column(self, values: Row) -> tuple[str, Sequence[Any]]:
        """The pattern of one literal, and what fills it: the values themselves where they can."""
        kinds = set(map(type, values))
        if kinds == {int}:
            return "%d", values
        if kinds == {str} and is_plain("".join(values)):
            return "'%s'", values
        return "%s", self._mixed(values)

    def _mixed(self, values: Sequence[Any]) -> Sequence[str]:
        floats = iter(self._floats([value for value in values if type(value) is float]))
        return [next(floats) if type(value) is float else self._one(value) for value in values]

    def _one(self, value: Any) -> str:
        match value:
            case None:
                return "NULL"
            case str() | bytes():
                return literal(value, self._encoding).whole()
            case _:
                return str(value)

    def _floats(self, values: Sequence[float]) -> Sequence[str]:
        """SQLite writes them: what it reads is not always the nearest number."""
        if not values:
            return []
        query = f"SELECT {','.join(['quote(?)'] * len(values))}"
        texts = self._reader.ask(lambda session: session.execute(query, values).fetchone())
        return [
            text if value and math.isfinite(value) else _odd(value)
            for value, text in zip(values, texts, strict=True)
        ]


def _odd(value: float) -> str:
    """What `quote` does not give exactly: infinity and the zero with a sign."""
    return repr(value) if value == 0 else f"{'-' * (value < 0)}9.0e+999"
