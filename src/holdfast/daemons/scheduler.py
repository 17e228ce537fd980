"""Decides that it is time: fires what is due, and dispatches what waits although nothing holds it.

There is no leader: any number of processes do the same. The clock is the one they share. When it
goes back, schedules that would be silent for longer than ever are set anew; at the start, too,
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
            self._realign()
        self.fire(now)
        self._look_after_snapshots(now)
        self._promote()
        self._last = now

    def fire(self, now: int) -> int:
        """Fires everything that is due, batch by batch; returns how many backups that makes."""
        made, after = 0, None
        while True:
            with self._tools.catalog.read() as session:
                found = firing.due(session, now, after)
            addons = {addon_pk for _, addon_pk in found}
            if addons:
                with self._tools.catalog.write() as session:
                    made += len(firing.fire(session, self._tools.queue, addons, now, self._window))
            if len(found) < firing.BATCH:
                return made
            after = found[-1]
            self._let_others_write()

    def _let_others_write(self) -> None:
        """SQLite's write lock knows no turns: who waits for it asks again every 0.1 s at most."""
        if self._tools.catalog.is_sqlite:
            threading.Event().wait(_PAUSE_SECONDS)

    def _look_after_snapshots(self, now: int) -> None:
        with self._tools.catalog.read() as session:
            if not snapshot_work.is_any_due(session, now):
                return
        with self._tools.catalog.write() as session:
            take_turns(session)
            snapshot_upkeep.retry_copies(session, self._tools.queue, now)
            snapshot_upkeep.order_repairs(session, self._tools.queue, now)
            snapshot_upkeep.order_pruning(session, self._tools.queue, now)

    def _realign(self) -> None:
        while True:
            with self._tools.catalog.write() as session:
                realigned = firing.realign(session, self._tools.clock)
            if not realigned:
                return
            log.warning("the clock went back; schedules are set anew", extra={"ids": realigned})

    def _promote(self) -> None:
        """Whoever frees an addon dispatches its next operation in the same transaction, so there
        is nothing to find here unless a queue was swapped or lost its rows.
        """
        with self._tools.catalog.read() as session:
            waiting = operations.waiting_addons(session)
        for addon_pk in waiting:
            with self._tools.catalog.write() as session:
                operations.promote(session, self._tools.queue, addon_pk)
