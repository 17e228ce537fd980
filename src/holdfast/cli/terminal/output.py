"""Prints data to standard output, as a table for people or as JSON for programs.

Everything else (notes, progress, questions, errors) goes to standard error. Without a terminal
a table is plain aligned text of any width; on a terminal identifiers, which come first, stay on one
line and the rest folds. Nothing is ever cut off.
"""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

from rich.console import Console
from rich.table import Table
from rich.text import Text

from holdfast.cli.terminal.text import dig, flatten, printable, words
from holdfast.client.models.models import Model

Columns = Mapping[str, str]
"""Column title to the path of its value, such as `{"SIZE": "config.size"}`."""

Document = Mapping[str, object]
T = TypeVar("T", bound=Model | Document)


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"


class Printer:
    def __init__(self, form: Format) -> None:
        self.form = form

    @property
    def machine(self) -> bool:
        """Whether a program reads the output."""
        return self.form is Format.JSON

    def rows(
        self,
        items: Iterable[T],
        columns: Columns,
        words_for: Callable[[T], Document] = lambda _: {},
    ) -> None:
        """Prints objects: for programs as they are, for people with the words of `words_for`."""
        rows = list(items)
        if self.form is Format.JSON:
            _json([_document(item) for item in rows])
            return
        if not rows:
            note("nothing found")
            return
        people = [{**_document(item), **words_for(item)} for item in rows]
        cells = [[words(path, dig(d, path)) for path in columns.values()] for d in people]
        _table(list(columns), cells)

    def record(self, item: Model | Document) -> None:
        """Prints one object, a line per field."""
        document = _document(item)
        if self.form is Format.JSON:
            _json(document)
        else:
            _table([], [[path, text] for path, text in flatten(dict(document)) if text])

    def sentence(self, item: Model | Document, sentence: str) -> None:
        """Prints one object as a sentence for people."""
        if self.form is Format.JSON:
            _json(_document(item))
        else:
            print(printable_lines(sentence), flush=True)

    def done(self, sentence: str) -> None:
        """Reports that a command without data succeeded."""
        if self.form is Format.JSON:
            _json({})
        note(sentence)

    def line(self, item: Model, text: str) -> None:
        """Prints one of many objects that come over time: a line of text, or of JSON."""
        if self.form is Format.JSON:
            print(json.dumps(item.document(), ensure_ascii=False), flush=True)
        else:
            print(printable(text), flush=True)


def _document(item: Model | Document) -> Document:
    return item.document() if isinstance(item, Model) else item


def note(sentence: str) -> None:
    print(printable_lines(sentence), file=sys.stderr, flush=True)


def printable_lines(text: str) -> str:
    return "\n".join(printable(line) for line in text.split("\n"))


def _json(value: object) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False), flush=True)


def _table(titles: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    if not sys.stdout.isatty():
        rows = [titles, *cells] if titles else cells
        widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
        for row in rows:
            padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            print("  ".join(padded).rstrip(), flush=True)
        return
    table = Table(box=None, show_header=bool(titles), header_style="bold", pad_edge=False)
    for index, title in enumerate(titles or [""] * len(cells[0])):
        whole = max(len(row[0]) for row in cells) if index == 0 else None
        table.add_column(title, overflow="fold", min_width=whole)
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
