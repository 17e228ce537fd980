"""A thread that repeats one function until it is stopped.

A failing round is logged, and the next round follows: a daemon that dies silently is worse than one
that complains.
"""

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


class Loop:
    def __init__(self, name: str, every_seconds: float, work: Callable[[], None]) -> None:
        self._every = every_seconds
        self._work = work
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self.run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(30)

    def run(self) -> None:
        while True:
            try:
                self._work()
            except Exception:
                log.exception(
                    "a round failed; the next one comes", extra={"loop": self._thread.name}
                )
            if self._stopping.wait(self._every):
                return
