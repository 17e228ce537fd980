"""Passes tables whose data is in from the sessions that load to those that make their indexes.

A table passes once, as the line of its data in pg_restore's list. When pg_restore begins a table
the one before is in: it waits for the server to confirm each.
"""

import itertools
import math
import threading
from collections.abc import Callable, Sequence

from holdfast.kit.processes.guard import Guard

_BEGINS = "pg_restore: processing data for table "
_PROGRESS = tuple(
    f"pg_restore: {word}"
    for word in ("connecting to ", "creating ", "executing ", "implied ", "processing ", "restor")
)


class LoadedTables:
    """A queue between `loading` sessions that load and `sessions` that make indexes."""

    def __init__(self, loading: int, sessions: int = 1) -> None:
        self.sessions = sessions
        self._condition = threading.Condition()
        self._loading = loading
        self._waiting: dict[str, None] = {}
        self._passed: set[str] = set()

    @property
    def loading_ended(self) -> bool:
        """Have all sessions that load ended?"""
        with self._condition:
            return self._loading == 0

    def listener(self, tables: Sequence[str]) -> Callable[[str], bool]:
        """Listens to the output of a verbose pg_restore that loads these tables in this order."""
        begun = 0

        def hear(line: str) -> bool:
            nonlocal begun
            if line.startswith(_BEGINS):
                self._pass_on(tables[begun - 1 : begun] if begun else ())
                begun += 1
            return line.startswith(_PROGRESS)

        return hear

    def session_ended(self, tables: Sequence[str]) -> Sequence[str]:
        """Notes that a session has loaded all its tables.

        Returns to the last session the tables that are left in the queue.
        """
        with self._condition:
            self._loading -= 1
            self._pass_on(tables)
            return () if self._loading else self._take(len(self._waiting))

    def take(self, guard: Guard) -> Sequence[str]:
        """One session's share of the tables in the queue; waits for one; empty at the end."""

        def wake() -> None:
            with self._condition:
                self._condition.notify_all()

        release = guard.adopt(wake)
        try:
            with self._condition:
                while not self._waiting and self._loading:
                    guard.check()
                    self._condition.wait()
                return self._take(math.ceil(len(self._waiting) / self.sessions))
        finally:
            release()

    def _take(self, limit: int) -> Sequence[str]:
        tables = list(itertools.islice(self._waiting, limit))
        for table in tables:
            del self._waiting[table]
        return tables

    def _pass_on(self, tables: Sequence[str]) -> None:
        with self._condition:
            new = dict.fromkeys(table for table in tables if table not in self._passed)
            self._waiting.update(new)
            self._passed.update(new)
            self._condition.notify_all()
