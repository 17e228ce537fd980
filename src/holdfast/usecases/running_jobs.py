"""The jobs running in this process."""

import threading
from dataclasses import dataclass

from holdfast.contracts.queue import Dispatch
from holdfast.kit.processes.guard import Guard


@dataclass(frozen=True)
class RunningJob:
    """`writes`: it changes a customer's database."""

    dispatch: Dispatch
    guard: Guard
    writes: bool


class Running:
    """The jobs running in this process, for the threads that watch them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, RunningJob] = {}

    def enter(self, dispatch: Dispatch, guard: Guard, *, writes: bool) -> None:
        with self._lock:
            self._jobs[dispatch.op] = RunningJob(dispatch, guard, writes)

    def leave(self, dispatch: Dispatch) -> None:
        with self._lock:
            job = self._jobs.get(dispatch.op)
            if job is not None and job.dispatch == dispatch:
                del self._jobs[dispatch.op]

    def all(self) -> list[RunningJob]:
        with self._lock:
            return list(self._jobs.values())
