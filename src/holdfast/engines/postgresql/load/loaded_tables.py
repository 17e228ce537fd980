"""Tables whose data is in, on their way from the sessions that load to those that come after.

A table passes once, as the line of its data in pg_restore's list. That pg_restore begins with one
table says that the one before is in: it waits for the server to confirm each.
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


class Following:
    """Between so many sessions that load and so many, `sessions`, that come after."""

    def __init__(self, loading: int, following: int = 1) -> None:
        self.sessions = following
        self._condition = threading.Condition()
        self._loading = loading
        self._waiting: dict[str, None] = {}
        self._passed: set[str] = set()

    @property
    def over(self) -> bool:
        """Have all sessions that load ended?"""
        with self._condition:
            return self._loading == 0

    def heard(self, tables: Sequence[str]) -> Callable[[str], bool]:
        """What hears a verbose pg_restore load these tables, in this order: see `feed`."""
        begun = 0

        def hear(line: str) -> bool:
            nonlocal begun
            if line.startswith(_BEGINS):
                self._pass_on(tables[begun - 1 : begun] if begun else ())
                begun += 1
            return line.startswith(_PROGRESS)

        return hear

    def ended(self, tables: Sequence[str]) -> Sequence[str]:
        """A session has ended well, and all its tables are in. What the last one is told nobody
        has taken yet, and nobody else will."""
        with self._condition:
            self._loading -= 1
            self._pass_on(tables)
            return () if self._loading else self._taken(len(self._waiting))

    def take(self, guard: Guard) -> Sequence[str]:
        """One session's share of the tables that nobody has taken yet. Waits for one; none when
        there are no more."""
        release = guard.adopt(self._wake)
        try:
            with self._condition:
                while not self._waiting and self._loading:
                    guard.check()
                    self._condition.wait()
                return self._taken(math.ceil(len(self._waiting) / self.sessions))
        finally:
            release()

    def _taken(self, limit: int) -> Sequence[str]:
        tables = list(itertools.islice(self._waiting, limit))
        for table in tables:
            del self._waiting[table]
        return tables

    def _wake(self) -> None:
        with self._condition:
            self._condition.notify_all()

    def _pass_on(self, tables: Sequence[str]) -> None:
        with self._condition:
            new = dict.fromkeys(table for table in tables if table not in self._passed)
            self._waiting.update(new)
            self._passed.update(new)
            self._condition.notify_all()
