"""The contract of durable queues. Their state is disposable: the operation rows are the truth.

A dispatch is the pair (operation id, fence). The queue must start each dispatch at least once on
some worker; running one twice is harmless, because the second run changes nothing (see
`catalog/work/operations.py`).
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Dispatch:
    op: str
    fence: int


RunOne = Callable[[str, int], None]
"""Runs one dispatch: its operation id and fence."""

Transaction = Any
"""The catalogue's open database connection. Contracts know no SQL library, so it has no type."""


class Queue(Protocol):
    def dispatch(
        self, connection: Transaction, dispatch: Dispatch, priority: int, lane: str
    ) -> None:
        """Enqueues inside the caller's transaction, so both commit or neither does."""
        ...

    def orphans(self, live_workers: Collection[str]) -> list[Dispatch]:
        """Dispatches claimed by workers that are not in `live_workers`."""
        ...

    def lost(self, dispatched: Collection[Dispatch]) -> list[Dispatch]:
        """Those of `dispatched` that the queue does not have, or has as ended.

        Called now and then; an adapter may purge its own old rows here.
        """
        ...

    def forget(self, dispatch: Dispatch) -> None:
        """Drops a dispatch that is no longer needed. Missing is success."""
        ...

    def run_worker(self, worker: str, run: RunOne, lanes: Mapping[str, int]) -> None:
        """Starts claiming in background threads; returns at once.

        `lanes` tells how many of each lane run at a time, the smallest priority first: work bound
        to this machine does not wait behind work that any machine can do.
        """
        ...

    def drain(self, grace_seconds: float) -> None:
        """Stops claiming at once and waits up to `grace_seconds` for running dispatches."""
        ...
