"""Who is dead: judged by whether a worker's beats go on changing, never by comparing clocks.

An instant says when somebody believed to be alive. Whoever compares it with a clock of his own, or
with the database's after that was set, buries the living. A beat that changes says that its worker
lived since the last look; how long ago that look was is measured by the watcher's own clock alone.
"""

from collections.abc import Mapping
from typing import Generic, TypeVar

from holdfast.kit.clock import Clock

T = TypeVar("T")


class Vitals(Generic[T]):
    """What was seen of others, and since when it is the same. `patience` in seconds."""

    def __init__(self, clock: Clock, patience: float) -> None:
        self._clock = clock
        self._patience = patience
        self._seen: dict[T, tuple[int, float]] = {}
        self._looked: float | None = None

    def look(self, signs: Mapping[T, int]) -> set[T]:
        """Those whose sign has not changed for longer than that.

        A watcher that was asleep itself, paused or waiting for the catalogue, has missed what the
        others did meanwhile: it starts to watch anew.
        """
        now = self._clock.monotonic()
        slept = self._looked is not None and now - self._looked > self._patience / 2
        self._looked = now
        before = {} if slept else self._seen
        self._seen = {
            who: before[who] if who in before and before[who][0] == sign else (sign, now)
            for who, sign in signs.items()
        }
        return {who for who, (_, since) in self._seen.items() if now - since > self._patience}
