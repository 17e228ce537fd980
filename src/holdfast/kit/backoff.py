"""Waiting times: a limited series of retry delays, endless pauses between polls, growing ones."""

import random
import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from holdfast.domain.errors import Temporary

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
_FIRST_PAUSE_SECONDS = 0.005


@dataclass(frozen=True)
class Backoff:
    """`attempts` tries in all; the delay doubles from `first` up to `longest` seconds.

    Each delay is shortened by up to half at random, so that many who failed together do not
    come back together.
    """

    attempts: int = 7
    first: float = 0.25
    longest: float = 8.0
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = field(default=random.random)

    def delays(self) -> Iterator[float]:
        for attempt in range(self.attempts - 1):
            full = min(self.longest, self.first * 2**attempt)
            yield full * (1 - self.chance() / 2)


def pauses(longest: float) -> Iterator[float]:
    """Yields seconds to sleep between polls, without end.

    Pauses start short and double, so that what is ready quickly is seen quickly and what takes
    long is not polled often.
    """
    pause = min(_FIRST_PAUSE_SECONDS, longest)
    while True:
        yield pause
        pause = min(2 * pause, longest)


class GrowingPauses(Generic[K]):
    """When what failed is tried again: after `first` seconds, then each time after twice as long,
    up to `longest`. `monotonic` reads a clock."""

    def __init__(self, monotonic: Callable[[], float], first: float, longest: float) -> None:
        self._monotonic = monotonic
        self._first, self._longest = first, longest
        self._pauses: dict[K, tuple[float, float]] = {}
        """When the next try is due, and the pause before it."""

    def is_due(self, key: K) -> bool:
        return key not in self._pauses or self._monotonic() >= self._pauses[key][0]

    def postpone(self, key: K) -> None:
        pause = self._first
        if key in self._pauses:
            pause = min(2 * self._pauses[key][1], self._longest)
        self._pauses[key] = self._monotonic() + pause, pause

    def forget(self, key: K) -> None:
        self._pauses.pop(key, None)


def retried(work: Callable[[], T], backoff: Backoff) -> T:
    """Repeats `work` while it fails with Temporary; the last failure is raised."""
    for delay in backoff.delays():
        try:
            return work()
        except Temporary:
            backoff.sleep(delay)
    return work()
