"""A worker's pulse: beats, learns of aborts and takeovers, shows progress, ends stalled jobs.

Once a second: one beat, one query over the running operations, and one progress write for each that
moved. `silence.py` checks that beats arrive.
"""

from dataclasses import dataclass

from holdfast.catalog.database.deadlines import hurried
from holdfast.catalog.work import operation_queries, operations, workers
from holdfast.daemons.silence import Silence
from holdfast.domain.errors import FencedOff, Interrupted, Stalled
from holdfast.domain.operation import Status
from holdfast.usecases.running_jobs import Running
from holdfast.usecases.toolbox import Toolbox

_PATIENCE_SHARE = 0.25
"""Share of `dead` after which a beat is retried over another connection."""


@dataclass(frozen=True)
class Rhythm:
    """Seconds between beats, until a silent worker counts as dead, and without bytes until a job
    counts as stalled."""

    beat: float = 1.0
    dead: float = 30.0
    stall: float = 300.0


class Pulse:
    """`drills`: how many this worker takes at a time, which others have to know."""

    def __init__(
        self, tools: Toolbox, running: Running, worker: str, rhythm: Rhythm, drills: int = 0
    ) -> None:
        self._tools = tools
        self._running = running
        self._worker = worker
        self._rhythm = rhythm
        self._drills = drills
        self.silence = Silence(tools.clock, running, rhythm.dead)
        self._last_beat = self._steady_since = tools.clock.boottime()
        self._shown_bytes: dict[str, int] = {}

    def steady(self) -> bool:
        """Whether this worker has beaten without a gap long enough to judge others."""
        now, dead = self._tools.clock.boottime(), self._rhythm.dead
        return now - self._last_beat < dead and now - self._steady_since > dead

    def round(self) -> None:
        for job in self._running.all():
            idle = job.guard.idle_seconds()
            if idle > self._rhythm.stall:
                job.guard.stop(Stalled(f"no bytes moved for {idle:.0f} s, so it was ended"))
        try:
            with hurried(_PATIENCE_SHARE * self._rhythm.dead):
                self.beat()
                self.watch_jobs()
        finally:
            self.silence.round()

    def beat(self) -> None:
        """Writes one beat; after a gap this worker must be steady anew to judge others."""
        begun = self._tools.clock.boottime()
        with self._tools.catalog.write() as session:
            controls = self._tools.controls
            workers.beat(session, self._worker, self._tools.node, controls, self._drills)
        self.silence.confirmed(begun)
        now = self._tools.clock.boottime()
        if now - self._last_beat > self._rhythm.dead:
            self._steady_since = now
        self._last_beat = now

    def watch_jobs(self) -> None:
        """Stops jobs that were aborted or taken over; shows the progress of the others."""
        jobs = self._running.all()
        ops = [job.dispatch.op for job in jobs]
        self._shown_bytes = {op: self._shown_bytes.get(op, -1) for op in ops}
        if not jobs:
            return
        with self._tools.catalog.read() as session:
            states = operation_queries.states(session, ops)
        for job in jobs:
            status, fence = states.get(job.dispatch.op, (Status.FAILED, -1))
            if fence != job.dispatch.fence:
                job.guard.stop(FencedOff())
            elif status is Status.ABORTING:
                job.guard.stop(Interrupted("aborted on request"))
            elif self._shown_bytes[job.dispatch.op] != job.guard.bytes_done:
                self._shown_bytes[job.dispatch.op] = job.guard.bytes_done
                progress = {"bytes": job.guard.bytes_done, "expected": job.guard.bytes_expected}
                with self._tools.catalog.write() as session:
                    operations.report(session, job.dispatch, progress)
