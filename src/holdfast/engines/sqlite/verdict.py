"""Whether a copy is sound, and what it holds: found out while somebody else reads it.

It is a file that nobody writes to, so reading it twice at the same time is reading the same thing,
and another core does the checking. Who reads must ask for the verdict before the copy counts.
"""

import sqlite3
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from holdfast.contracts.engine import Inventory
from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.sqlite import tables
from holdfast.engines.sqlite.location import opened
from holdfast.kit.guard import Guard


class Verdict:
    """On its way; whoever asks waits for it."""

    def __init__(self, found: "Future[Inventory]", guard: Guard) -> None:
        self._found = found
        self._guard = guard

    def inventory(self) -> Inventory:
        """The rows of every table. EvidenceMissing says what is damaged."""
        try:
            return self._found.result()
        except sqlite3.Error:
            self._guard.check()
            raise


@contextmanager
def judged(copy: Path, source: Path, guard: Guard) -> Generator[Verdict]:
    """`source` is what `copy` was made of, for people to read."""
    with opened(copy) as session, ThreadPoolExecutor(1, thread_name_prefix="verdict") as pool:
        release = guard.adopt(session.interrupt)
        found = pool.submit(_judge, session, source)
        try:
            yield Verdict(found, guard)
        finally:
            release()
            if not found.cancel() and not found.done():
                session.interrupt()


def _judge(session: sqlite3.Connection, source: Path) -> Inventory:
    problem = tables.require_sound(session)
    if problem is not None:
        raise EvidenceMissing(f"{source} is damaged: {problem}")
    return tables.inventory(session)
