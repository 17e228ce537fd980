"""Fires due schedules, orders upkeep of snapshots, and dispatches operations left waiting.

There is no leader: any number of processes do the same, by the clock they share. When that clock
goes back, schedules that would wait longer than their interval are realigned; at the start as well,
because it may have gone back before.
"""

import logging
import threading

from holdfast.catalog.database.session import take_turns
from holdfast.catalog.storage import snapshot_work
from holdfast.catalog.work import operations
from holdfast.usecases.schedules import firing
from holdfast.usecases.snapshots import snapshot_upkeep
from holdfast.usecases.toolbox import Toolbox

log = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.12


class Scheduler:
    def __init__(self, tools: Toolbox, window_ms: int) -> None:
        self._tools = tools
        self._window = window_ms
        self._last: int | None = None

    def round(self) -> None:
        now = self._tools.clock.now()
        if self._last is None or now < self._last:
            self._last = None
            self.realign()
        self.fire(now)
        self.order_snapshot_work(now)
        # An operation that frees an addon dispatches the next one in the same transaction, so
        # nothing waits here unless a queue was exchanged or lost its rows.
        with self._tools.catalog.read() as session:
            waiting = operations.waiting_addons(session)
        for addon_pk in waiting:
            with self._tools.catalog.write() as session:
                operations.promote(session, self._tools.queue, addon_pk)
        self._last = now

    def fire(self, now: int) -> int:
        """Fires all due schedules, batch by batch; returns the number of new backups."""
        count, after = 0, None
        while True:
            with self._tools.catalog.read() as session:
                marks = firing.due(session, now, after)
            addons = {addon_pk for _, addon_pk in marks}
            if addons:
                with self._tools.catalog.write() as session:
                    count += len(firing.fire(session, self._tools.queue, addons, now, self._window))
            if len(marks) < firing.BATCH:
                return count
            after = marks[-1]
            # SQLite's write lock is not fair: waiting writers only ask again every 0.1 s.
            if self._tools.catalog.is_sqlite:
                threading.Event().wait(_PAUSE_SECONDS)

    def order_snapshot_work(self, now: int) -> None:
        """Orders due copies, repairs and prunes."""
        with self._tools.catalog.read() as session:
            if not snapshot_work.is_any_due(session, now):
                return
        with self._tools.catalog.write() as session:
            take_turns(session)
            snapshot_upkeep.retry_copies(session, self._tools.queue, now)
            snapshot_upkeep.order_repairs(session, self._tools.queue, now)
            snapshot_upkeep.order_pruning(session, self._tools.queue, now)

    def realign(self) -> None:
        """Takes back decisions about instants that have not come yet."""
        while True:
            with self._tools.catalog.write() as session:
                realigned = firing.realign(session, self._tools.clock)
            if not realigned:
                return
            log.warning("the clock went back; schedules are set anew", extra={"ids": realigned})
