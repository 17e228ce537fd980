"""Waiting times: a limited series of retry delays, or endless pauses between polls."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from holdfast.domain.errors import Temporary

T = TypeVar("T")
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


def retried(work: Callable[[], T], backoff: Backoff) -> T:
    """Repeats `work` while it fails with Temporary; the last failure is raised."""
    for delay in backoff.delays():
        try:
            return work()
        except Temporary:
            backoff.sleep(delay)
    return work()
