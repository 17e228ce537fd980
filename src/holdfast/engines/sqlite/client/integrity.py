"""Whether a copy is sound, and what it holds: found out while somebody else reads it.

It is a file that nobody writes to, so reading it twice at the same time is reading the same thing,
and another core does the checking. Who reads must ask for the verdict before the copy counts.
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
    """On its way; whoever asks waits for it."""

    def __init__(self, future: "Future[Inventory]", guard: Guard) -> None:
        self._found = future
        self._guard = guard

    def inventory(self) -> Inventory:
        """The rows of every table. EvidenceMissing says what is damaged."""
        try:
            return self._found.result()
        except Exception:
            self._guard.check()
            raise

    def check(self) -> None:
        """Raises what is wrong, if that is known by now."""
        if self._found.done():
            self.inventory()


@contextmanager
def judged(job: Callable[[Guard], Inventory], guard: Guard) -> Generator[Verdict]:
    """`job` goes on beside the caller, and is stopped with the caller."""
    with guard.part() as part, ThreadPoolExecutor(1, thread_name_prefix="verdict") as pool:
        try:
            yield Verdict(pool.submit(job, part), guard)
        finally:
            part.stop(Interrupted())


def judge(copy: Path, source: Path, guard: Guard) -> Inventory:
    """`source` is what `copy` was made of, for people to read."""
    with opened(copy) as session, translated(source):
        release = guard.adopt(session.interrupt)
        try:
            guard.check()
            problem = tables.require_sound(session)
            if problem is not None:
                raise EvidenceMissing(f"{source} is damaged: {problem}")
            guard.check()
            return tables.inventory(session)
        finally:
            release()
