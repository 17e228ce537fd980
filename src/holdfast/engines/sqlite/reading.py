"""Rows of a file that is being copied: read from the file until there is the copy, then from that.

Both are one content, so a table that is half read goes on in the copy after as many rows: they lie
in the same order there. The file is let go as soon as it is copied, however slowly it is read.
"""

import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

from holdfast.engines.sqlite.location import opened
from holdfast.engines.sqlite.tables import Stored

Row = tuple[Any, ...]
Answer = TypeVar("Answer")


class Text(bytes):
    """What SQLite says is text, apart from what it says is a blob."""


class Reader:
    """One thread reads one table after the other, another one turns it to the copy."""

    def __init__(self, session: sqlite3.Connection) -> None:
        """`session` is in a read transaction, which ends when the reader turns away."""
        self._session = session
        self._turn = threading.Lock()
        self._copy = ExitStack()
        self._query = ""
        self._cursor: sqlite3.Cursor | None = None
        self._passed = 0
        self._texts: type[str | Text] = str

    def ask(self, question: Callable[[sqlite3.Connection], Answer]) -> Answer:
        with self._turn:
            return question(self._session)

    def begin(self, table: Stored) -> None:
        """All of it in its own order; an index that holds all columns is not read instead."""
        self._query = f"SELECT {','.join(table.selected)} FROM {table.quoted} NOT INDEXED"  # noqa: S608
        self._passed = 0
        self._texts = str
        with self._turn:
            self._let_go()

    def take(self, count: int) -> Sequence[Row]:
        """No more than `count` of its next rows, none at the end.

        From the first text on that is no UTF-8 all texts come as `Text`, which is slower.
        """
        with self._turn:
            try:
                rows = self._fetch(count)
            except sqlite3.OperationalError as error:
                if self._texts is Text or "UTF-8" not in str(error):
                    raise
                self._texts = Text
                self._let_go()
                rows = self._fetch(count)
        self._passed += len(rows)
        return rows

    def turn_to(self, copy: Path) -> None:
        """Nothing holds on to the file any more when this returns."""
        session = self._copy.enter_context(opened(copy))
        with self._turn:
            self._let_go()
            self._session.rollback()
            self._session = session

    def close(self) -> None:
        with self._turn:
            self._let_go()
        self._copy.close()

    def _fetch(self, count: int) -> Sequence[Row]:
        if self._cursor is None:
            self._cursor = self._session.execute(f"{self._query} LIMIT -1 OFFSET {self._passed}")
        self._session.text_factory = self._texts
        try:
            return self._cursor.fetchmany(count)
        finally:
            self._session.text_factory = str

    def _let_go(self) -> None:
        """A statement that is not at its end keeps the transaction of its session."""
        if self._cursor is not None:
            self._cursor.close()
            self._cursor = None
