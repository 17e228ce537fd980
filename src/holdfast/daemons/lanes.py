"""Work side by side, one thread for each place: one that hangs holds up nobody else's turn."""

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


class Lanes:
    def __init__(self, name: str) -> None:
        self._name = name
        self._busy: dict[object, threading.Thread] = {}

    def start(self, lane: object, work: Callable[[], None]) -> None:
        """Does nothing while that lane is still at its last work."""
        self._busy = {key: each for key, each in self._busy.items() if each.is_alive()}
        if lane not in self._busy:
            name = f"{self._name}-{lane}"
            thread = threading.Thread(target=_logged(work, name), name=name, daemon=True)
            self._busy[lane] = thread
            thread.start()

    def wait(self, seconds: float) -> None:
        """For those that are quick; each of the others gets a moment at most."""
        for thread in self._busy.values():
            thread.join(seconds / max(1, len(self._busy)))


def _logged(work: Callable[[], None], name: str) -> Callable[[], None]:
    def run() -> None:
        try:
            work()
        except Exception:
            log.exception("a lane failed; its next turn comes", extra={"lane": name})

    return run
