"""Takes over what dead workers held. Any worker reaps; the fence lets exactly one win."""

import logging

from holdfast.catalog.work import operations, workers
from holdfast.contracts.queue import Dispatch
from holdfast.daemons.pulse import Pulse, Rhythm
from holdfast.daemons.vitals import Vitals
from holdfast.usecases.toolbox import Toolbox

log = logging.getLogger(__name__)

_SWEEP_EVERY = 4
"""Dead periods between two searches for work that the queue itself has lost."""
_BURY_AFTER = 10
"""Dead periods after which a worker's row goes, too."""


class Reaper:
    def __init__(self, tools: Toolbox, pulse: Pulse, rhythm: Rhythm) -> None:
        self._tools = tools
        self._pulse = pulse
        self._rhythm = rhythm
        self._swept = tools.clock.monotonic()
        self._alive = Vitals[str](tools.clock, rhythm.dead)
        self._gone = Vitals[str](tools.clock, _BURY_AFTER * rhythm.dead)
        self._unclaimed = Vitals[Dispatch](tools.clock, rhythm.dead)

    def round(self) -> None:
        if self._pulse.steady():
            with self._tools.catalog.read() as session:
                beats = workers.beats(session)
            dead = self._alive.look(beats)
            self._reap(beats.keys() - dead, set(beats))
            self._bury(beats)
            self._sweep()

    def reap_departed(self) -> None:
        """Called once at start, when it is too early to judge who is silent: whoever is still
        registered counts as living."""
        with self._tools.catalog.read() as session:
            registered = set(workers.beats(session))
        for what in self._tools.queue.orphans(registered):
            self._take_over(what)

    def _reap(self, living: set[str], registered: set[str]) -> None:
        """What workers hold of whom there is no row waits as long as a silent one's: a row may be
        missing for a moment, after the catalogue failed over, and its worker be alive."""
        unknown = set(self._tools.queue.orphans(registered))
        forgotten = self._unclaimed.look(dict.fromkeys(unknown, 0))
        for what in self._tools.queue.orphans(living):
            if what not in unknown or what in forgotten:
                self._take_over(what)

    def _bury(self, beats: dict[str, int]) -> None:
        """Forgets workers long dead; their work was taken over before."""
        gone = self._gone.look(beats)
        if gone:
            with self._tools.catalog.write() as session:
                workers.bury(session, {worker: beats[worker] for worker in gone})

    def _sweep(self) -> None:
        if self._tools.clock.monotonic() - self._swept < _SWEEP_EVERY * self._rhythm.dead:
            return
        self._swept = self._tools.clock.monotonic()
        self.find_lost()

    def find_lost(self) -> None:
        """Dispatches anew what our rows hold dispatched and the queue does not."""
        with self._tools.catalog.read() as session:
            dispatched = operations.dispatched(session)
        for what in self._tools.queue.lost(dispatched):
            self._dispatch_anew(what)

    def _take_over(self, what: Dispatch) -> None:
        self._dispatch_anew(what)
        self._tools.queue.forget(what)

    def _dispatch_anew(self, what: Dispatch) -> None:
        with self._tools.catalog.write() as session:
            if operations.take_over(session, self._tools.queue, what):
                log.warning("operation taken over", extra={"op": what.op, "fence": what.fence})
