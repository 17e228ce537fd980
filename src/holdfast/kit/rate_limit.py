"""Holds a stream to a rate, for whoever reads a server that has other work to do."""

import time
from collections.abc import Callable

_PORTION = 1 << 20


class Pace:
    """`rate` in KiB per second, None for none. `wait(seconds)` sleeps and may raise."""

    def __init__(self, rate: int | None, wait: Callable[[float], None]) -> None:
        self._bytes_per_second = rate * 1024 if rate else None
        self._wait = wait
        self._begun: float | None = None
        self._moved = 0

    @property
    def portion(self) -> int:
        """How many bytes to move at a time: no more than a second's worth."""
        return min(_PORTION, self._bytes_per_second or _PORTION)

    def moved(self, count: int) -> None:
        """Returns when `count` more bytes may have been moved."""
        self._moved += count
        if self._bytes_per_second is None:
            return
        if self._begun is None:
            self._begun = time.monotonic()
        due = self._begun + self._moved / self._bytes_per_second
        while (left := due - time.monotonic()) > 0:
            self._wait(min(left, 1.0))
