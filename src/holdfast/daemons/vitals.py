"""Finds dead workers by whether their beats go on changing, never by comparing clocks.

An instant in a row is a worker's own idea of the time. Comparing it with another clock, or with the
database's after that was set, would declare living workers dead. A beat that changed proves that
its worker lived since the last look; the watcher's own clock alone measures how long ago that was.
"""

from collections.abc import Mapping
from typing import Generic, TypeVar

from holdfast.kit.clock import Clock

T = TypeVar("T")


class Vitals(Generic[T]):
    """The last seen sign of each key, and since when it is the same. `patience` in seconds."""

    def __init__(self, clock: Clock, patience: float) -> None:
        self._clock = clock
        self._patience = patience
        self._seen: dict[T, tuple[int, float]] = {}
        self._looked: float | None = None

    def look(self, signs: Mapping[T, int]) -> set[T]:
        """The keys whose sign has not changed for longer than the patience.

        A watcher that was asleep, paused or waiting for the catalogue has missed changes, so it
        starts anew.
        """
        now = self._clock.monotonic()
        slept = self._looked is not None and now - self._looked > self._patience / 2
        self._looked = now
        before = {} if slept else self._seen
        self._seen = {
            key: before[key] if key in before and before[key][0] == sign else (sign, now)
            for key, sign in signs.items()
        }
        return {key for key, (_, since) in self._seen.items() if now - since > self._patience}
