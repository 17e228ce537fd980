"""What goes to standard output: data, as a table for people or as JSON for programs.

Everything else (notes, progress, questions, errors) goes to standard error. Without a terminal
a table is plain aligned text, whole whatever its width; on a terminal identifiers, which come
first, stay on one line and the rest folds. Nothing is ever cut off.
"""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum

from rich.console import Console
from rich.table import Table
from rich.text import Text

from holdfast.cli.terminal.text import dig, flatten, printable, words

Columns = Mapping[str, str]
"""Column title to the path of its value, such as `{"SIZE": "config.size"}`."""

Document = Mapping[str, object]
Telling = Callable[[Document], Document]


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"


class Printer:
    def __init__(self, form: Format) -> None:
        self.form = form

    @property
    def machine(self) -> bool:
        """Is it a program that reads this?"""
        return self.form is Format.JSON

    def rows(
        self, documents: Iterable[Document], columns: Columns, told: Telling = dict[str, object]
    ) -> None:
        """`told` adds what a person would say of each; programs get the documents as they are."""
        found = list(documents)
        if self.form is Format.JSON:
            _json(found)
            return
        if not found:
            note("nothing found")
            return
        people = [told(document) for document in found]
        cells = [[words(path, dig(d, path)) for path in columns.values()] for d in people]
        _table(list(columns), cells)

    def record(self, document: Document) -> None:
        """One thing, a line per fact."""
        if self.form is Format.JSON:
            _json(document)
        else:
            _table([], [[path, text] for path, text in flatten(dict(document)) if text])

    def told(self, document: Document, sentence: str) -> None:
        """One thing that a sentence says."""
        if self.form is Format.JSON:
            _json(document)
        else:
            print(printable_lines(sentence), flush=True)

    def done(self, sentence: str) -> None:
        """Something without data was done."""
        if self.form is Format.JSON:
            _json({})
        note(sentence)

    def line(self, document: Document, text: str) -> None:
        """One of many that come over time: a line of text, or of JSON."""
        if self.form is Format.JSON:
            print(json.dumps(document, ensure_ascii=False), flush=True)
        else:
            print(printable(text), flush=True)


def note(sentence: str) -> None:
    print(printable_lines(sentence), file=sys.stderr, flush=True)


def printable_lines(text: str) -> str:
    return "\n".join(printable(line) for line in text.split("\n"))


def _json(value: object) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False), flush=True)


def _table(titles: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    if sys.stdout.isatty():
        _drawn(titles, cells)
    else:
        print("\n".join(_aligned([titles, *cells] if titles else cells)), flush=True)


def _drawn(titles: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    table = Table(box=None, show_header=bool(titles), header_style="bold", pad_edge=False)
    for index, title in enumerate(titles or [""] * len(cells[0])):
        whole = max(len(row[0]) for row in cells) if index == 0 else None
        table.add_column(title, overflow="fold", min_width=whole)
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
