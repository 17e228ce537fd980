"""Checks and counts a copy in a thread, while the copy is read.

No process writes to the copy, so both see the same data, and another core does the checking. The
reader must ask for the verdict before the copy counts.
"""

from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from holdfast.contracts.engine import Inventory
from holdfast.domain.errors import EvidenceMissing, Interrupted
from holdfast.engines.sqlite.client import tables
from holdfast.engines.sqlite.client.location import opened, translated
from holdfast.kit.processes.guard import Guard


class Verdict:
    """The result of a check in progress."""

    def __init__(self, future: "Future[Inventory]", guard: Guard) -> None:
        self._future = future
        self._guard = guard

    def inventory(self) -> Inventory:
        """Waits for the check; the rows of every table. EvidenceMissing says what is damaged."""
        try:
            return self._future.result()
        except Exception:
            self._guard.check()
            raise

    def check(self) -> None:
        """Raises the damage, if the check has found it by now."""
        if self._future.done():
            self.inventory()


@contextmanager
def checking(job: Callable[[Guard], Inventory], guard: Guard) -> Generator[Verdict]:
    """Runs `job` in a thread while the block runs; it is stopped with the block."""
    with guard.part() as part, ThreadPoolExecutor(1, thread_name_prefix="verdict") as pool:
        try:
            yield Verdict(pool.submit(job, part), guard)
        finally:
            part.stop(Interrupted())


def check_copy(copy: Path, source: Path, guard: Guard) -> Inventory:
    """Checks and counts `copy`; messages name `source`, of which it was made."""
    with opened(copy) as session, translated(source):
        release = guard.adopt(session.interrupt)
        try:
            guard.check()
            problem = tables.find_damage(session)
            if problem is not None:
                raise EvidenceMissing(f"{source} is damaged: {problem}")
            guard.check()
            return tables.inventory(session)
        finally:
            release()
