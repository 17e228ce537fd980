"""Lets other threads stop a running operation and see whether it still moves bytes.

A Guard is shared by the thread that does the work and the threads that watch it. The worker
checks it between chunks and adopts every child it starts; a watcher stops it with a reason. To
stop means: the reason is kept, every adopted child is ended, and the next `check` raises it.
"""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from holdfast.domain.errors import Failure, Interrupted
from holdfast.kit.clock import Clock


class Guard:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._reason: Failure | None = None
        self._enders: list[Callable[[], None]] = []
        self._stopped = threading.Event()
        self._moved_at = clock.monotonic()
        self._watching = 0
        self.bytes_done = 0
        self.bytes_expected: int | None = None

    def stop(self, reason: Failure) -> None:
        """Idempotent; the first reason wins. Safe from any thread."""
        with self._lock:
            if self._reason is not None:
                return
            self._reason = reason
            enders = list(self._enders)
        self._stopped.set()
        for end in enders:
            end()

    def check(self) -> None:
        """Raises the reason if the operation was told to stop."""
        if self._reason is not None:
            raise self._reason

    def adopt(self, end: Callable[[], None]) -> Callable[[], None]:
        """Calls `end` when the operation is stopped (at once if it already is).

        Returns a function that removes `end` again.
        """
        with self._lock:
            stopped = self._reason is not None
            if not stopped:
                self._enders.append(end)
        if stopped:
            end()

        def release() -> None:
            with self._lock:
                if end in self._enders:
                    self._enders.remove(end)

        return release

    @contextmanager
    def part(self) -> Generator["Guard"]:
        """A guard for a part of the work: stopping the whole stops the part, not the reverse."""
        part = Guard(self._clock)
        release = self.adopt(lambda: part.stop(self._reason or Interrupted()))
        try:
            yield part
        finally:
            release()

    def wait(self, seconds: float) -> None:
        """Sleeps for `seconds`; a stop ends the sleep and is raised."""
        self._stopped.wait(seconds)
        self.check()

    def moved(self, count: int) -> None:
        """Records that `count` bytes went through; 0 is a sign of life."""
        with self._lock:
            self.bytes_done += count
        self._moved_at = self._clock.monotonic()

    def watch_for_stall(self, *, on: bool) -> None:
        """Starts or ends a span in which bytes are expected to move: only then a stall counts."""
        self._moved_at = self._clock.monotonic()
        with self._lock:
            self._watching += 1 if on else -1

    def idle_seconds(self) -> float:
        """Seconds since the last byte; 0.0 while nothing is expected to move."""
        return self._clock.monotonic() - self._moved_at if self._watching else 0.0
