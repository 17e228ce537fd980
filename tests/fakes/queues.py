"""A queue that only remembers what was dispatched, and in which order."""

from collections.abc import Collection

from sqlalchemy import Connection

from holdfast.contracts.queue import Dispatch, RunOne


class ListQueue:
    def __init__(self) -> None:
        self.dispatched: list[Dispatch] = []

    def dispatch(self, connection: Connection, what: Dispatch, priority: int, lane: str) -> None:
        self.dispatched.append(what)

    def orphans(self, live_workers: Collection[str]) -> list[Dispatch]:
        return []

    def lost(self, dispatched: Collection[Dispatch]) -> list[Dispatch]:
        return []

    def forget(self, what: Dispatch) -> None:
        pass

    def run_worker(self, worker: str, run: RunOne, concurrency: int, lanes: list[str]) -> None:
        raise NotImplementedError

    def drain(self, grace_seconds: float) -> None:
        pass
