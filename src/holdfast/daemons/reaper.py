"""Takes over operations of dead workers. Any worker does; the fence lets exactly one win."""

import logging

from holdfast.catalog.work import operations, workers
from holdfast.contracts.queue import Dispatch
from holdfast.daemons.pulse import Pulse, Rhythm
from holdfast.daemons.vitals import Vitals
from holdfast.usecases.toolbox import Toolbox

log = logging.getLogger(__name__)

_SWEEP_EVERY = 4
"""Dead periods between two searches for dispatches that the queue lost."""
_BURY_AFTER = 10
"""Dead periods after which a worker's row is deleted."""


class Reaper:
    def __init__(self, tools: Toolbox, pulse: Pulse, rhythm: Rhythm) -> None:
        self._tools = tools
        self._pulse = pulse
        self._rhythm = rhythm
        self._searched = tools.clock.monotonic()
        self._alive = Vitals[str](tools.clock, rhythm.dead)
        self._buried = Vitals[str](tools.clock, _BURY_AFTER * rhythm.dead)
        self._unclaimed = Vitals[Dispatch](tools.clock, rhythm.dead)

    def round(self) -> None:
        if self._pulse.steady():
            with self._tools.catalog.read() as session:
                beats = workers.beats(session)
            dead = self._alive.look(beats)
            self.reap(beats.keys() - dead, set(beats))
            if buried := self._buried.look(beats):  # their operations were taken over long before
                with self._tools.catalog.write() as session:
                    workers.bury(session, {worker: beats[worker] for worker in buried})
            since_search = self._tools.clock.monotonic() - self._searched
            if since_search >= _SWEEP_EVERY * self._rhythm.dead:
                self._searched = self._tools.clock.monotonic()
                self.find_lost()

    def reap_departed(self) -> None:
        """Takes over from workers that are not registered. Called once at start, when it is too
        early to judge which registered workers are silent."""
        with self._tools.catalog.read() as session:
            registered = set(workers.beats(session))
        for dispatch in self._tools.queue.orphans(registered):
            self._take_over(dispatch)

    def reap(self, living: set[str], registered: set[str]) -> None:
        """Takes over from dead workers. Dispatches of workers without a row wait as long as
        those of silent ones: after a failover of the catalogue a living worker's row may be
        missing."""
        unknown = set(self._tools.queue.orphans(registered))
        forgotten = self._unclaimed.look(dict.fromkeys(unknown, 0))
        for dispatch in self._tools.queue.orphans(living):
            if dispatch not in unknown or dispatch in forgotten:
                self._take_over(dispatch)

    def find_lost(self) -> None:
        """Dispatches anew the operations whose dispatch the queue does not have."""
        with self._tools.catalog.read() as session:
            dispatched = operations.dispatched(session)
        for dispatch in self._tools.queue.lost(dispatched):
            self._dispatch_anew(dispatch)

    def _take_over(self, dispatch: Dispatch) -> None:
        self._dispatch_anew(dispatch)
        self._tools.queue.forget(dispatch)

    def _dispatch_anew(self, dispatch: Dispatch) -> None:
        with self._tools.catalog.write() as session:
            if operations.take_over(session, self._tools.queue, dispatch):
                log.warning(
                    "operation taken over", extra={"op": dispatch.op, "fence": dispatch.fence}
                )
