"""Prints data to standard output, as a table for people or as JSON for programs.

Everything else (notes, progress, questions, errors) goes to standard error. Without a terminal
a table is plain aligned text of any width; on a terminal identifiers, which come first, stay on one
line and the rest folds. Nothing is ever cut off.
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
Describe = Callable[[Document], Document]
"""Adds words for people to a document."""


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
        documents: Iterable[Document],
        columns: Columns,
        describe: Describe = dict[str, object],
    ) -> None:
        """Prints documents: for people after `describe` added words, for programs as they are."""
        rows = list(documents)
        if self.form is Format.JSON:
            _json(rows)
            return
        if not rows:
            note("nothing found")
            return
        people = [describe(document) for document in rows]
        cells = [[words(path, dig(d, path)) for path in columns.values()] for d in people]
        _table(list(columns), cells)

    def record(self, document: Document) -> None:
        """Prints one object, a line per field."""
        if self.form is Format.JSON:
            _json(document)
        else:
            _table([], [[path, text] for path, text in flatten(dict(document)) if text])

    def sentence(self, document: Document, sentence: str) -> None:
        """Prints one object as a sentence for people."""
        if self.form is Format.JSON:
            _json(document)
        else:
            print(printable_lines(sentence), flush=True)

    def done(self, sentence: str) -> None:
        """Reports that a command without data succeeded."""
        if self.form is Format.JSON:
            _json({})
        note(sentence)

    def line(self, document: Document, text: str) -> None:
        """Prints one of many objects that come over time: a line of text, or of JSON."""
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
