"""Silence that is no stall: whoever works for us is asked before it is taken for dead."""

import logging
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from holdfast.domain.errors import Failure
from holdfast.kit.processes.guard import Guard

log = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
"""Between two looks, and how long it has to be silent before the first: well below any stall."""


@contextmanager
def patient(guard: Guard, is_working: Callable[[], bool]) -> Generator[None]:
    """While the block runs, `guard` is told of movement when `is_working` says so.

    It is asked in a thread of its own, and only while nothing has moved for a while. A Failure
    of it is no sign of work.
    """
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOK_SECONDS):
            if guard.idle_seconds() >= LOOK_SECONDS and _says_so(is_working):
                guard.moved(0)

    thread = threading.Thread(target=look, name="patience", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()


def _says_so(is_working: Callable[[], bool]) -> bool:
    try:
        return is_working()
    except Failure as error:
        log.info("a silent server cannot be asked", extra={"error": error.message})
        return False
