"""Asks a silent server whether it still works, before the operation counts as stalled."""

import logging
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from holdfast.domain.errors import Failure
from holdfast.kit.processes.guard import Guard

log = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
"""Time between two questions, and the silence before the first: well below any stall timeout."""


@contextmanager
def patient(guard: Guard, is_working: Callable[[], bool]) -> Generator[None]:
    """While the block runs, reports movement to `guard` whenever `is_working` says so.

    `is_working` is called in a thread of its own, and only while nothing has moved for
    LOOK_SECONDS. A Failure of it is no sign of work.
    """
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOK_SECONDS):
            if guard.idle_seconds() < LOOK_SECONDS:
                continue
            try:
                if is_working():
                    guard.moved(0)
            except Failure as error:
                log.info("a silent server cannot be asked", extra={"error": error.message})

    thread = threading.Thread(target=look, name="patience", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
