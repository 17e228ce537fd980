"""Reads rows of a file that is being copied: from the file first, then from the copy.

Both have the same rows in the same order, so a half-read table continues in the copy after as many
rows. The file is released as soon as it is copied, however slowly its rows are read.
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
from holdfast.engines.sqlite.client.tables import StoredTable

Row = tuple[Any, ...]
Answer = TypeVar("Answer")
LARGE_ROW_BYTES = 1 << 20
"""A portion of rows ends after so many bytes, so that memory depends on the largest row alone."""
_BATCHED_ROW_BYTES = 1 << 14
"""Rows up to this size are read many at once."""


def row_bytes(row: Row) -> int:
    """About how many bytes a row has."""
    return sum(len(value) for value in row if isinstance(value, str | bytes))


class Reader:
    """Reads one table after the other in one thread; another thread switches it to the copy."""

    def __init__(self, session: sqlite3.Connection) -> None:
        """`session` is in a read transaction, which ends when the reader switches to the copy."""
        self._session = session
        self.stand_ins = application.add_stand_ins(session)
        self._lock = threading.Lock()
        self._copy = ExitStack()
        self._query = ""
        self._cursor: sqlite3.Cursor | None = None
        self._rows_read = 0
        self._text_factory: type[str | Text] = str
        self._one_by_one = False

    def ask(self, question: Callable[[sqlite3.Connection], Answer]) -> Answer:
        with self._lock:
            return question(self._session)

    def begin(self, table: StoredTable) -> None:
        """Starts a table; NOT INDEXED keeps SQLite from reading an index in another order."""
        self._query = f"SELECT {','.join(table.selected)} FROM {table.quoted} NOT INDEXED"  # noqa: S608
        self._rows_read = 0
        self._text_factory = str
        self._one_by_one = False
        with self._lock:
            self._close_cursor()

    def take(self, count: int) -> Sequence[Row]:
        """Returns at most `count` rows, none at the end; only the last may be large.

        From the first large row on rows are read one by one, and from the first text on that is no
        UTF-8 all texts are `Text`: both are slower.
        """
        with self._lock:
            rows = self._fetch(count)
        self._rows_read += len(rows)
        return rows

    def switch_to(self, copy: Path) -> None:
        """Reads from `copy` from now on; the file is released when this returns."""
        session = self._copy.enter_context(opened(copy))
        application.add_stand_ins(session)  # also reads the schema, before any length limit
        with self._lock:
            self._close_cursor()
            self._session.rollback()
            self._session = session

    def close(self) -> None:
        with self._lock:
            self._close_cursor()
        self._copy.close()

    def _fetch(self, count: int) -> Sequence[Row]:
        limit = -1 if self._one_by_one else _BATCHED_ROW_BYTES
        before = self._session.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, limit)
        self._session.text_factory = self._text_factory
        try:
            if self._cursor is None:
                query = f"{self._query} LIMIT -1 OFFSET {self._rows_read}"
                self._cursor = self._session.execute(query)
            return self._portion(self._cursor, count)
        except (sqlite3.DataError, sqlite3.OperationalError) as error:
            # The same rows are read again in a slower mode.
            if isinstance(error, sqlite3.DataError) and not self._one_by_one:  # "too big"
                self._one_by_one = True
            elif self._text_factory is str and "UTF-8" in str(error):
                self._text_factory = Text
            else:
                raise
            self._close_cursor()
        finally:
            self._session.text_factory = str
            self._session.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, before)
        return self._fetch(count)

    def _portion(self, cursor: sqlite3.Cursor, count: int) -> Sequence[Row]:
        if not self._one_by_one:
            return cursor.fetchmany(count)
        rows: list[Row] = []
        bytes_read = 0
        while (
            len(rows) < count
            and bytes_read < LARGE_ROW_BYTES
            and (row := cursor.fetchone()) is not None
        ):
            rows.append(row)
            bytes_read += row_bytes(row)
        return rows

    def _close_cursor(self) -> None:
        """Closes the statement: an unfinished one keeps its session's transaction open."""
        if self._cursor is not None:
            self._cursor.close()
            self._cursor = None
