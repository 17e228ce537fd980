"""The background processes of an installation: the worker, and the scheduler."""

import logging
import os
import threading
from dataclasses import replace

from holdfast.bootstrap.alarms import observer_name
from holdfast.bootstrap.parts import Parts
from holdfast.bootstrap.policy import policy_of
from holdfast.bootstrap.tracing import open_tracer
from holdfast.catalog.database.clock import DatabaseClock
from holdfast.catalog.database.session import CatalogAway
from holdfast.catalog.work import workers
from holdfast.daemons.alarms.observer import SchedulerBeat
from holdfast.daemons.archiving.archivist import Archivist
from holdfast.daemons.archiving.remover import Remover
from holdfast.daemons.drills import DrillPlanner, DrillSweeper
from holdfast.daemons.janitor import Janitor
from holdfast.daemons.loop import Loop
from holdfast.daemons.protection import ProtectionCheck
from holdfast.daemons.pruner import Pruner
from holdfast.daemons.pulse import Pulse, Rhythm
from holdfast.daemons.reader import Reader
from holdfast.daemons.reaper import Reaper
from holdfast.daemons.scheduler import Scheduler
from holdfast.daemons.store_checker import StoreChecker
from holdfast.daemons.supervisor import Supervisor
from holdfast.domain.operation import ANY_LANE, DRILL_LANE, Kind
from holdfast.domain.units import DAY_MS, HOUR_MS
from holdfast.jobs.copies.repair import REPAIR
from holdfast.jobs.copies.replicate import REPLICATE
from holdfast.jobs.core.leftovers import remover
from holdfast.jobs.core.runner import Drained, Plans, Runner
from holdfast.jobs.drills.drill import DRILL
from holdfast.jobs.dumps.backup import BACKUP
from holdfast.jobs.dumps.restore import RESTORE
from holdfast.jobs.hosting.lifecycle import LIFECYCLE
from holdfast.jobs.snapshots.prune import PRUNE
from holdfast.jobs.snapshots.recover import RECOVER
from holdfast.jobs.snapshots.restore_in_place import RESTORE_IN_PLACE
from holdfast.jobs.snapshots.restore_open_file import RESTORE_OPEN_FILE
from holdfast.jobs.snapshots.snapshot import SNAPSHOT
from holdfast.jobs.snapshots.undo import DROP_OLD, UNDO
from holdfast.kit import ids
from holdfast.kit.locks import join
from holdfast.kit.processes.memory import keep_memory_steady
from holdfast.kit.steady_clock import Steadiness
from holdfast.usecases.running_jobs import Running

log = logging.getLogger(__name__)

PLANS: Plans = {
    Kind.BACKUP: BACKUP,
    Kind.SNAPSHOT: SNAPSHOT,
    Kind.RESTORE: RESTORE,
    Kind.RESTORE_IN_PLACE: RESTORE_IN_PLACE,
    Kind.RECOVER: RECOVER,
    Kind.RESTORE_OPEN_FILE: RESTORE_OPEN_FILE,
    Kind.REPLICATE: REPLICATE,
    Kind.REPAIR: REPAIR,
    Kind.PRUNE: PRUNE,
    Kind.UNDO: UNDO,
    Kind.DROP_OLD: DROP_OLD,
    Kind.DRILL: DRILL,
    **LIFECYCLE,
}

_SUPERVISE_SECONDS = 1.0
_CLEAN_SECONDS = 5.0
_DRILL_SECONDS = 10.0
_SCHEDULE_SECONDS = 1.0
_LAST_WORDS_SECONDS = 10.0


class SchedulerProcess:
    """Fires schedules, applies retention, checks stores, and cleans up."""

    def __init__(self, parts: Parts) -> None:
        clock = parts.schedule_clock or DatabaseClock(parts.catalog, parts.clock)
        tools = replace(parts.toolbox, clock=clock)
        self._scheduler = Scheduler(tools, round(parts.settings.catch_up * HOUR_MS))
        self._beat = SchedulerBeat(tools, observer_name(parts))
        policy, steady = policy_of(parts.settings), Steadiness(clock, parts.settings.settle)
        audit_every = round(parts.settings.audit_every * HOUR_MS)
        read_within = round(parts.settings.read_within * DAY_MS)
        janitor = Janitor(tools, remover(tools, PLANS), policy, steady)
        pruner = Pruner(tools, policy, steady)
        remover_of_log = Remover(tools, policy, pruner.is_sound, steady, read_within)
        self._loops = [
            Loop("scheduler", _SCHEDULE_SECONDS, self._schedule),
            Loop("janitor", _CLEAN_SECONDS, janitor.round),
            Loop("pruner", _CLEAN_SECONDS, pruner.round),
            Loop("archive-remover", _CLEAN_SECONDS, remover_of_log.round),
            Loop(
                "store-checker", _CLEAN_SECONDS, StoreChecker(tools, audit_every, read_within).round
            ),
            Loop("reader", _CLEAN_SECONDS, Reader(tools, read_within).round),
            Loop("protection", _CLEAN_SECONDS, ProtectionCheck(tools).round),
        ]
        if parts.settings.drills:
            self._loops.append(Loop("drills", _DRILL_SECONDS, DrillPlanner(tools).round))

    def start(self) -> None:
        for loop in self._loops:
            loop.start()

    def _schedule(self) -> None:
        self._scheduler.round()
        self._beat.round()

    def drain(self) -> None:
        for loop in self._loops:
            loop.stop()
        try:
            self._beat.leave()
        except CatalogAway as error:
            log.warning("could not sign off", extra={"error": str(error.orig)})


class WorkerProcess:
    """Runs operations and supervises managed servers."""

    def __init__(self, parts: Parts) -> None:
        settings, tools = parts.settings, parts.toolbox
        self._parts = parts
        self._running = Running()
        self._worker = f"{parts.node}-{os.getpid()}-{ids.hex24()[:6]}"
        rhythm = Rhythm(settings.beat, settings.dead, settings.stall)
        self._pulse = Pulse(tools, self._running, self._worker, rhythm, settings.drills)
        self._reaper = Reaper(tools, self._pulse, rhythm)
        self._supervisor = Supervisor(tools, settings.data_dir / "supervisor.lock")
        self._archivist = Archivist(tools, self._worker, settings.dead)
        self._tracer = open_tracer()
        self._runner = Runner(tools, PLANS, self._running, self._worker, self._tracer)
        self._presence, self._alone = join(settings.data_dir / "workers.lock")
        self._beating = [
            Loop("pulse", settings.beat, self._pulse.round),
            Loop("silence", settings.beat, self._pulse.silence.round),
        ]
        self._loops = [
            Loop("reaper", max(settings.beat, settings.dead / 10), self._reaper.round),
            Loop("supervisor", _SUPERVISE_SECONDS, self._supervisor.round),
            Loop("drill-sweeper", _DRILL_SECONDS, DrillSweeper(tools).round),
            Loop("archivist", settings.beat, self._archivist.round),
        ]

    def start(self) -> None:
        keep_memory_steady()
        tools = self._parts.toolbox
        if self._alone:
            with tools.catalog.write() as session:
                workers.leave_node(session, tools.node)
        self._pulse.round()
        for loop in self._beating:
            loop.start()
        settings = self._parts.settings
        lanes = {ANY_LANE: settings.concurrency, tools.node: settings.concurrency}
        if settings.drills:
            lanes[DRILL_LANE] = settings.drills
        tools.queue.run_worker(self._worker, self._runner.run, lanes)
        if self._alone:
            self._reaper.reap_departed()
            self._reaper.find_lost()
        for loop in self._loops:
            loop.start()

    def drain(self) -> None:
        """Finishes what it can within the grace period and hands the rest over, beating until
        then."""
        for loop in self._loops:
            loop.stop()
        self._archivist.stop()
        self._parts.queue.drain(self._parts.settings.grace)
        for job in self._running.all():
            job.guard.stop(Drained("the worker is stopping"))
        waiting = threading.Event()
        deadline = self._parts.clock.monotonic() + _LAST_WORDS_SECONDS
        while self._running.all() and self._parts.clock.monotonic() < deadline:
            waiting.wait(0.05)
        self._supervisor.stop_all()
        for loop in self._beating:
            loop.stop()
        try:
            with self._parts.catalog.write() as session:
                workers.leave(session, self._worker)
        except CatalogAway as error:
            log.warning("could not sign off", extra={"error": str(error.orig)})
        self._presence.close()
        self._tracer.close()
