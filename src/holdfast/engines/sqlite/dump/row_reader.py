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

from holdfast.engines.sqlite.client import application
from holdfast.engines.sqlite.client.literals import Text
from holdfast.engines.sqlite.client.location import opened
from holdfast.engines.sqlite.client.tables import Stored

Row = tuple[Any, ...]
Answer = TypeVar("Answer")
LARGE = 1 << 20
"""Bytes of rows that are one portion, whatever is next: memory depends on the largest row alone."""
_MANY = 1 << 14
"""Bytes of a row up to which any number is read at once."""


def weight(row: Row) -> int:
    """About how many bytes."""
    return sum(len(value) for value in row if isinstance(value, str | bytes))


class Reader:
    """One thread reads one table after the other, another one turns it to the copy."""

    def __init__(self, session: sqlite3.Connection) -> None:
        """`session` is in a read transaction, which ends when the reader turns away."""
        self._session = session
        self.taught = application.teach(session)
        self._turn = threading.Lock()
        self._copy = ExitStack()
        self._query = ""
        self._cursor: sqlite3.Cursor | None = None
        self._passed = 0
        self._texts: type[str | Text] = str
        self._one_by_one = False

    def ask(self, question: Callable[[sqlite3.Connection], Answer]) -> Answer:
        with self._turn:
            return question(self._session)

    def begin(self, table: Stored) -> None:
        """All of it in its own order; an index that holds all columns is not read instead."""
        self._query = f"SELECT {','.join(table.selected)} FROM {table.quoted} NOT INDEXED"  # noqa: S608
        self._passed = 0
        self._texts = str
        self._one_by_one = False
        with self._turn:
            self._let_go()

    def take(self, count: int) -> Sequence[Row]:
        """No more than `count` of its next rows, none at the end. Only the last may be large.

        From the first large row on they are read one by one, and from the first text on that is
        no UTF-8 all texts come as `Text`: both are slower.
        """
        with self._turn:
            rows = self._fetch(count)
        self._passed += len(rows)
        return rows

    def turn_to(self, copy: Path) -> None:
        """Nothing holds on to the file any more when this returns."""
        session = self._copy.enter_context(opened(copy))
        application.teach(session)  # that reads the schema, too: without a limit
        with self._turn:
            self._let_go()
            self._session.rollback()
            self._session = session

    def close(self) -> None:
        with self._turn:
            self._let_go()
        self._copy.close()

    def _fetch(self, count: int) -> Sequence[Row]:
        limit = -1 if self._one_by_one else _MANY
        before = self._session.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, limit)
        self._session.text_factory = self._texts
        try:
            if self._cursor is None:
                query = f"{self._query} LIMIT -1 OFFSET {self._passed}"
                self._cursor = self._session.execute(query)
            return self._portion(self._cursor, count)
        except (sqlite3.DataError, sqlite3.OperationalError) as error:
            self._slow_down(error)
        finally:
            self._session.text_factory = str
            self._session.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, before)
        return self._fetch(count)

    def _portion(self, cursor: sqlite3.Cursor, count: int) -> Sequence[Row]:
        if not self._one_by_one:
            return cursor.fetchmany(count)
        rows: list[Row] = []
        weighed = 0
        while len(rows) < count and weighed < LARGE and (row := cursor.fetchone()) is not None:
            rows.append(row)
            weighed += weight(row)
        return rows

    def _slow_down(self, error: sqlite3.Error) -> None:
        """The same rows are read again, with more care."""
        if isinstance(error, sqlite3.DataError) and not self._one_by_one:  # "too big"
            self._one_by_one = True
        elif self._texts is str and "UTF-8" in str(error):
            self._texts = Text
        else:
            raise error
        self._let_go()

    def _let_go(self) -> None:
        """A statement that is not at its end keeps the transaction of its session."""
        if self._cursor is not None:
            self._cursor.close()
            self._cursor = None
