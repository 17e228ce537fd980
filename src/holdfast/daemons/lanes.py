"""Runs work in one thread per destination, so that a store that hangs does not block others."""

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


class Lanes:
    def __init__(self, name: str) -> None:
        self._name = name
        self._busy: dict[object, threading.Thread] = {}

    def start(self, lane: object, work: Callable[[], None]) -> None:
        """Starts `work` in the lane unless its last work still runs."""
        self._busy = {key: running for key, running in self._busy.items() if running.is_alive()}
        if lane not in self._busy:
            name = f"{self._name}-{lane}"

            def run() -> None:
                try:
                    work()
                except Exception:
                    log.exception("a lane failed; its next turn comes", extra={"lane": name})

            thread = threading.Thread(target=run, name=name, daemon=True)
            self._busy[lane] = thread
            thread.start()

    def wait(self, seconds: float) -> None:
        """Waits up to `seconds` in all for the running lanes."""
        for thread in self._busy.values():
            thread.join(seconds / max(1, len(self._busy)))
