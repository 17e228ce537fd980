"""Stops the writing jobs of a worker that others may take for dead.

Others take over when the last beat they saw is `dead` seconds old. Jobs that write into a
customer's database stop before that, by this machine's clock, which goes on while it sleeps. No
database is touched here, so one that hangs instead of refusing cannot delay the stop.
"""

import threading

from holdfast.domain.errors import WorkerLost
from holdfast.kit.clock import Clock
from holdfast.usecases.running_jobs import Running

_SHARE = 0.6
"""Share of `dead` after which writers are stopped; they have the rest of it to stop in."""
_ASLEEP_SHARE = 0.2
"""Share of `dead` between two rounds that means this process was asleep."""
_LAST_CHANCE_SHARE = 0.1
"""Share of `dead` that a process gets for one more beat after it was asleep."""


class Silence:
    def __init__(self, clock: Clock, running: Running, dead: float) -> None:
        self._clock = clock
        self._running = running
        self._dead = dead
        self._lock = threading.Lock()
        self._beat = self._round = clock.boottime()
        self._chance = 0.0

    def confirmed(self, begun: float) -> None:
        """Records that a beat begun at that instant was committed."""
        with self._lock:
            self._beat = max(self._beat, begun)

    @property
    def seconds(self) -> float:
        """Seconds since the last beat that others can certainly see."""
        with self._lock:
            return self._clock.boottime() - self._beat

    def round(self) -> None:
        """Stops writers if no beat arrived for too long.

        A process that was asleep, alone or with its machine, first gets a short while to learn by
        its next beat whether others took over."""
        now = self._clock.boottime()
        if now - self._round > _ASLEEP_SHARE * self._dead:
            self._chance = now + _LAST_CHANCE_SHARE * self._dead
        self._round = now
        silent = self.seconds
        if silent > _SHARE * self._dead and now >= self._chance:
            for job in self._running.all():
                if job.writes:
                    job.guard.stop(WorkerLost(f"no contact with the catalogue for {silent:.0f} s"))
