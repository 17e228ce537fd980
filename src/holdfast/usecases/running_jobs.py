"""The jobs at work in this process."""

import threading

from holdfast.contracts.queue import Dispatch
from holdfast.kit.processes.guard import Guard


class Running:
    """The jobs at work in this process, for the threads that watch over them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, tuple[Dispatch, Guard, bool]] = {}

    def enter(self, what: Dispatch, guard: Guard, *, writes: bool) -> None:
        with self._lock:
            self._jobs[what.op] = (what, guard, writes)

    def leave(self, what: Dispatch) -> None:
        with self._lock:
            held = self._jobs.get(what.op)
            if held is not None and held[0] == what:
                del self._jobs[what.op]

    def all(self) -> list[tuple[Dispatch, Guard, bool]]:
        with self._lock:
            return list(self._jobs.values())
