"""Stops writers of a worker that others may take for dead. Touches no database, so that one which
hangs, instead of refusing, cannot keep it from noticing.

Others take over when the last beat they saw is `dead` seconds old. Whoever writes into a customer's
database stops before that, by his own clock, which goes on while the machine sleeps.
"""

import threading

from holdfast.domain.errors import WorkerLost
from holdfast.kit.clock import Clock
from holdfast.usecases.running_jobs import Running

_SHARE = 0.6
"""Of `dead`: the rest is for the writer to stop, whatever it is at."""
_ASLEEP_SHARE, _LAST_CHANCE_SHARE = 0.2, 0.1


class Silence:
    def __init__(self, clock: Clock, running: Running, dead: float) -> None:
        self._clock = clock
        self._running = running
        self._dead = dead
        self._lock = threading.Lock()
        self._beat = self._round = clock.boottime()
        self._chance = 0.0

    def confirmed(self, begun: float) -> None:
        """A beat that was begun at that time has arrived."""
        with self._lock:
            self._beat = max(self._beat, begun)

    @property
    def seconds(self) -> float:
        """Since the last beat of which it is known that others could see it."""
        with self._lock:
            return self._clock.boottime() - self._beat

    def round(self) -> None:
        """Who was asleep, with the whole machine or alone, may find out first whether others took
        over: a short while later the next beat has arrived, or it is too late."""
        now = self._clock.boottime()
        if now - self._round > _ASLEEP_SHARE * self._dead:
            self._chance = now + _LAST_CHANCE_SHARE * self._dead
        self._round = now
        silent = self.seconds
        if silent > _SHARE * self._dead and now >= self._chance:
            for _, guard, writes in self._running.all():
                if writes:
                    guard.stop(WorkerLost(f"no contact with the catalogue for {silent:.0f} s"))
