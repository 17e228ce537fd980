"""Writes the rows of a table as lines of SQL, many at once.

The types of a column's values are determined once for a portion of rows and not for each value:
that makes it fast. Every row is one line, and a large one is written in pieces.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from holdfast.engines.sqlite.client.literals import is_plain, literal
from holdfast.engines.sqlite.client.tables import StoredTable
from holdfast.engines.sqlite.dump.row_reader import LARGE_ROW_BYTES, Reader, Row, row_bytes

_ROWS_PER_STATEMENT = 128
_ROW_SEPARATOR = "),\n("


def inserted(reader: Reader, table: StoredTable, encoding: str) -> Iterator[str]:
    """Yields statements of some rows each, or of one large row in pieces of a few megabytes."""
    head = f"INSERT INTO {table.quoted}({','.join(table.selected)}) VALUES\n("
    writer = _Writer(reader, encoding)
    reader.begin(table)
    while portion := reader.take(_ROWS_PER_STATEMENT):
        large = portion[-1:] if row_bytes(portion[-1]) >= LARGE_ROW_BYTES else ()
        few = portion[: len(portion) - len(large)]
        if few:
            yield f"{head}{writer.batch(few)});\n"
        for row in large:
            yield head
            yield from writer.pieces(row)
            yield ");\n"


class _Writer:
    def __init__(self, reader: Reader, encoding: str) -> None:
        self._reader = reader
        self._encoding = encoding

    def batch(self, rows: Sequence[Row]) -> str:
        """Fills one pattern with all values of the rows at once.

        Most columns need no conversion: then the rows themselves fill the pattern.
        """
        columns = list(zip(*rows, strict=True))
        written = [self.column(values) for values in columns]
        if any(filled is not values for (_, filled), values in zip(written, columns, strict=True)):
            rows = list(zip(*(filled for _, filled in written), strict=True))
        line = ",".join(pattern for pattern, _ in written)
        return _ROW_SEPARATOR.join([line] * len(rows)) % tuple(chain.from_iterable(rows))

    def pieces(self, row: Row) -> Iterator[str]:
        for number, value in enumerate(row):
            yield "," if number else ""
            if isinstance(value, str | bytes):
                yield from literal(value, self._encoding).pieces()
            else:
                yield from self.mixed([value])

    def column(self, values: Row) -> tuple[str, Sequence[Any]]:
        """The pattern of a column's literal, and its values, converted only if they have to be."""
        kinds = set(map(type, values))
        if kinds == {int}:
            return "%d", values
        if kinds == {str} and is_plain("".join(values)):
            return "'%s'", values
        return "%s", self.mixed(values)

    def mixed(self, values: Sequence[Any]) -> Sequence[str]:
        floats = iter(self.floats([value for value in values if type(value) is float]))
        return [next(floats) if type(value) is float else self.one_value(value) for value in values]

    def one_value(self, value: Any) -> str:
        match value:
            case None:
                return "NULL"
            case str() | bytes():
                return literal(value, self._encoding).whole()
            case _:
                return str(value)

    def floats(self, values: Sequence[float]) -> Sequence[str]:
        """Lets SQLite write floats: it does not always read the nearest number."""
        if not values:
            return []
        query = f"SELECT {','.join(['quote(?)'] * len(values))}"
        texts = self._reader.ask(lambda session: session.execute(query, values).fetchone())
        return [
            # `quote` does not write infinity and signed zero exactly.
            text
            if value and math.isfinite(value)
            else repr(value)
            if value == 0
            else f"{'-' * (value < 0)}9.0e+999"
            for value, text in zip(values, texts, strict=True)
        ]
