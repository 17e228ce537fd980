"""A worker's pulse: says it lives, learns of aborts and takeovers, shows progress, ends stalls.

Once a second: one beat, one query over the running operations, one progress write for each that
moved. `silence.py` watches over whether beats arrive.
"""

from dataclasses import dataclass

from holdfast.catalog.database.deadlines import hurried
from holdfast.catalog.work import operations, workers
from holdfast.daemons.silence import Silence
from holdfast.domain.errors import FencedOff, Interrupted, Stalled
from holdfast.domain.operation import Status
from holdfast.kit.processes.guard import Guard
from holdfast.usecases.running_jobs import Running
from holdfast.usecases.toolbox import Toolbox

_PATIENCE_SHARE = 0.25
"""Of `dead`: a beat that takes longer is tried again over another connection."""


@dataclass(frozen=True)
class Rhythm:
    """Seconds: between beats, until a silent worker counts as dead, until no bytes is a stall."""

    beat: float = 1.0
    dead: float = 30.0
    stall: float = 300.0


class Pulse:
    def __init__(self, tools: Toolbox, running: Running, worker: str, rhythm: Rhythm) -> None:
        self._tools = tools
        self._running = running
        self._worker = worker
        self._rhythm = rhythm
        self.silence = Silence(tools.clock, running, rhythm.dead)
        self._last = self._since = tools.clock.boottime()
        self._shown: dict[str, int] = {}

    def steady(self) -> bool:
        """Has this worker beaten without a gap for long enough to judge others?"""
        now = self._tools.clock.boottime()
        return now - self._last < self._rhythm.dead and now - self._since > self._rhythm.dead

    def round(self) -> None:
        self._end_stalls()
        try:
            with hurried(_PATIENCE_SHARE * self._rhythm.dead):
                self._beat()
                self._watch()
        finally:
            self.silence.round()

    def _beat(self) -> None:
        begun = self._tools.clock.boottime()
        with self._tools.catalog.write() as session:
            workers.beat(session, self._worker, self._tools.node, self._tools.controls)
        self.silence.confirmed(begun)
        now = self._tools.clock.boottime()
        if now - self._last > self._rhythm.dead:
            self._since = now
        self._last = now

    def _watch(self) -> None:
        jobs = self._running.all()
        self._shown = {what.op: self._shown.get(what.op, -1) for what, _, _ in jobs}
        if not jobs:
            return
        with self._tools.catalog.read() as session:
            states = operations.states(session, [what.op for what, _, _ in jobs])
        for what, guard, _ in jobs:
            status, fence = states.get(what.op, (Status.FAILED, -1))
            if fence != what.fence:
                guard.stop(FencedOff())
            elif status is Status.ABORTING:
                guard.stop(Interrupted("aborted on request"))
            else:
                self._show(what.op, what.fence, guard)

    def _show(self, op: str, fence: int, guard: Guard) -> None:
        if self._shown[op] == guard.bytes_done:
            return
        self._shown[op] = guard.bytes_done
        progress = {"bytes": guard.bytes_done, "expected": guard.bytes_expected}
        with self._tools.catalog.write() as session:
            operations.report(session, operations.Dispatch(op, fence), progress)

    def _end_stalls(self) -> None:
        for _, guard, _ in self._running.all():
            idle = guard.idle_seconds()
            if idle > self._rhythm.stall:
                guard.stop(Stalled(f"no bytes moved for {idle:.0f} s, so it was ended"))
