"""Holds a stream to a rate, so that a server keeps capacity for its own work."""

import time
from collections.abc import Callable

_PORTION_BYTES = 1 << 20


class Pace:
    """Delays reads to `rate` KiB per second, None for no limit. `wait(seconds)` may raise."""

    def __init__(self, rate: int | None, wait: Callable[[float], None]) -> None:
        self._bytes_per_second = rate * 1024 if rate else None
        self._wait = wait
        self._begun: float | None = None
        self._moved = 0

    @property
    def portion(self) -> int:
        """Bytes to move at a time: no more than a second's worth."""
        return min(_PORTION_BYTES, self._bytes_per_second or _PORTION_BYTES)

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
