"""Takes over what dead workers held. Any worker reaps; the fence lets exactly one win."""

import logging

from holdfast.catalog import operations, workers
from holdfast.contracts.queue import Dispatch
from holdfast.daemons.pulse import Pulse, Rhythm
from holdfast.jobs.toolbox import Toolbox

log = logging.getLogger(__name__)

_SWEEP_EVERY = 4
"""Dead periods between two searches for work that the queue itself has lost."""


class Reaper:
    def __init__(self, tools: Toolbox, pulse: Pulse, rhythm: Rhythm) -> None:
        self._tools = tools
        self._pulse = pulse
        self._rhythm = rhythm
        self._swept = tools.clock.monotonic()

    def round(self) -> None:
        if self._pulse.steady():
            with self._tools.catalog.read() as session:
                living = workers.living(session, round(self._rhythm.dead * 1000))
            self._reap(living)
            self._sweep()

    def reap_departed(self) -> None:
        """Called once at start, when it is too early to judge who is silent: whoever is still
        registered counts as living."""
        with self._tools.catalog.read() as session:
            registered = workers.registered(session)
        self._reap(registered)

    def _reap(self, living: set[str]) -> None:
        for what in self._tools.queue.orphans(living):
            self._take_over(what)
            self._tools.queue.forget(what)

    def _sweep(self) -> None:
        if self._tools.clock.monotonic() - self._swept < _SWEEP_EVERY * self._rhythm.dead:
            return
        self._swept = self._tools.clock.monotonic()
        self.find_lost()
        with self._tools.catalog.write() as session:
            workers.bury(session, round(self._rhythm.dead * 1000))

    def find_lost(self) -> None:
        """Dispatches anew what our rows hold dispatched and the queue does not."""
        with self._tools.catalog.read() as session:
            dispatched = operations.dispatched(session)
        for what in self._tools.queue.lost(dispatched):
            self._take_over(what)

    def _take_over(self, what: Dispatch) -> None:
        with self._tools.catalog.write() as session:
            if operations.take_over(session, self._tools.queue, what):
                log.warning("operation taken over", extra={"op": what.op, "fence": what.fence})
