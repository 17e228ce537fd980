"""What a durable queue owes us. Its state is disposable: our operation rows are the truth.

A dispatch is the pair (operation id, fence). The queue must start each dispatch at least once on
some worker; running one twice is harmless, because the second changes nothing (see
`catalog/work/operations.py`).
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection


@dataclass(frozen=True)
class Dispatch:
    op: str
    fence: int


RunOne = Callable[[str, int], None]


class Queue(Protocol):
    def dispatch(self, connection: Connection, what: Dispatch, priority: int, lane: str) -> None:
        """Enqueues inside the caller's transaction: it commits or vanishes with it."""
        ...

    def orphans(self, live_workers: Collection[str]) -> list[Dispatch]:
        """Dispatches claimed by workers that are not among the living."""
        ...

    def lost(self, dispatched: Collection[Dispatch]) -> list[Dispatch]:
        """Those of `dispatched` the queue does not hold, or believes to be over.

        Called now and then; an adapter may do its own housekeeping here.
        """
        ...

    def forget(self, what: Dispatch) -> None:
        """Drops a dispatch nobody needs any more. Missing is success."""
        ...

    def run_worker(self, worker: str, run: RunOne, concurrency: int, lanes: list[str]) -> None:
        """Starts claiming in background threads; returns at once.

        At most `concurrency` of each lane run at a time, the smallest priority first: what is
        bound to this machine does not wait behind what any machine can do.
        """
        ...

    def drain(self, grace_seconds: float) -> None:
        """Stops claiming at once and waits up to `grace_seconds` for what runs."""
        ...
