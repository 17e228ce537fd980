"""Cleans up: leftovers of failed attempts, replayed answers, rows of backups deleted long ago, and
instants that a wrong clock left in the future."""

import logging
from collections.abc import Callable

from holdfast.catalog import imports, restores
from holdfast.catalog.alarms import alarms, deliveries
from holdfast.catalog.schema import Operation
from holdfast.catalog.storage import copies, history, repositories
from holdfast.catalog.work import chores, leftovers, replays
from holdfast.contracts.queue import Dispatch
from holdfast.domain.operation import ANY_LANE
from holdfast.domain.retention.rules import Policy
from holdfast.domain.units import DAY_MS, HOUR_MS, MINUTE_MS
from holdfast.kit.backoff import GrowingPauses
from holdfast.kit.steady_clock import Steadiness
from holdfast.usecases.imports import part_prefix, retire_upload
from holdfast.usecases.restores import order_drop
from holdfast.usecases.retention import expiry
from holdfast.usecases.toolbox import Toolbox

log = logging.getLogger(__name__)

_ROWS_AT_ONCE = 200
_FIRST_PAUSE, _LONGEST_PAUSE = 10.0, 3600.0  # seconds


class Janitor:
    """Removes rows for their age only while the clock is `steady`; None: it always is."""

    def __init__(
        self,
        tools: Toolbox,
        remove_leftovers: Callable[[Operation], None],
        policy: Policy,
        steady: Steadiness | None = None,
    ) -> None:
        self._steady = steady
        self._tools = tools
        self._remove_leftovers = remove_leftovers
        self._policy = policy
        self._last_pk = 0
        self._pauses = GrowingPauses[str](tools.clock.monotonic, _FIRST_PAUSE, _LONGEST_PAUSE)

    def round(self) -> None:
        with self._tools.catalog.read() as session:
            littered = leftovers.littered(session, self._last_pk)
            session.expunge_all()
        # Go on after the last one, so that those which cannot be cleaned now do not block the rest.
        self._last_pk = littered[-1].pk if littered else 0
        for operation in littered:
            self.clean(operation)
        with self._tools.catalog.write() as session:
            replays.forget_old(session)
            over = imports.addresses_over(session)
            if over:
                imports.forget_addresses(session, over)
        steady = self._steady is None or self._steady.holds()
        before = self._tools.clock.now() - DAY_MS if steady else imports.DROPPED + 1
        self.sweep_uploads(before)
        if steady:
            self._run_chore("history", DAY_MS, self.forget_history)
            self._run_chore("old-data", MINUTE_MS, self.drop_old_data)
        self._run_chore("clocks", HOUR_MS, self.correct_clocks)

    def _run_chore(self, name: str, every_ms: int, work: Callable[[int], None]) -> None:
        """Runs `work` if it is due and no other janitor took it."""
        now = self._tools.clock.now()
        with self._tools.catalog.read() as session:
            if not chores.is_due(session, name, now, every_ms):
                return
        with self._tools.catalog.write() as session:
            if not chores.take(session, name, now, every_ms):
                return
        work(now)
        with self._tools.catalog.write() as session:
            chores.end(session, name, now + every_ms, now, None)

    def forget_history(self, now: int) -> None:
        """Removes rows of backups, operations and decisions older than the policy keeps them."""
        before = now - self._policy.history_ms
        while True:
            with self._tools.catalog.read() as session:
                backup_pks = history.forgettable(session, before, _ROWS_AT_ONCE)
            if not backup_pks:
                break
            with self._tools.catalog.write() as session:
                history.forget(session, backup_pks)
        for worn in (history.worn_restores, history.worn_drills, history.worn_operations):
            while True:
                with self._tools.catalog.read() as session:
                    operations = worn(session, before, _ROWS_AT_ONCE)
                if not operations:
                    break
                with self._tools.catalog.write() as session:
                    history.forget_operations(session, operations)
        with self._tools.catalog.write() as session:
            history.forget_settled(session, before)
        forgotten = _ROWS_AT_ONCE
        while forgotten == _ROWS_AT_ONCE:
            with self._tools.catalog.write() as session:
                forgotten = history.forget_occurrences(session, before, _ROWS_AT_ONCE)
        with self._tools.catalog.write() as session:
            alarms.forget(session, before)
        forgotten = _ROWS_AT_ONCE
        while forgotten == _ROWS_AT_ONCE:
            with self._tools.catalog.write() as session:
                forgotten = deliveries.forget(session, before, _ROWS_AT_ONCE)

    def drop_old_data(self, now: int) -> None:
        """Orders the removal of old data that restores set aside until `now`."""
        with self._tools.catalog.read() as session:
            due = restores.with_old_data(session, now, _ROWS_AT_ONCE)
        for pk in due:
            with self._tools.catalog.write() as session:
                order_drop(session, self._tools.queue, restores.get(session, pk), now)

    def sweep_uploads(self, before: int) -> None:
        """Removes uploads that became a good backup, and those without new parts since `before`."""
        with self._tools.catalog.read() as session:
            old = {row.pk for row in imports.untouched_since(session, before)}
            upload_pks = [
                row.pk
                for row in imports.all_uploads(session)
                if (row.pk in old or imports.imported(session, row.pk))
                and not imports.in_use(session, row.pk)
            ]
        for pk in upload_pks:
            with self._tools.catalog.write() as session:
                upload = retire_upload(session, pk, before)
            if upload is not None:
                self._tools.open_store(None).clear(part_prefix(upload.id))
                with self._tools.catalog.write() as session:
                    imports.forget_upload(session, imports.upload(session, pk))

    def correct_clocks(self, now: int) -> None:
        """Moves instants that a clock wrote too far into the future back.

        By a clock that is behind, uploads touched just now would seem to be of the future and be
        dated back, so those wait for a steady clock. The others are merely done sooner."""
        with self._tools.catalog.write() as session:
            for rows in (copies, repositories):
                rows.draw_near(session, now)
            if self._steady is None or self._steady.holds():
                imports.draw_near(session, now)
        with self._tools.catalog.read() as session:
            put_off = expiry.put_off(session, now, self._policy)
        if put_off:
            log.warning("a clock was ahead", extra={"addons": len(put_off)})
            with self._tools.catalog.write() as session:
                expiry.set_right(session, put_off, now)

    def clean(self, operation: Operation) -> None:
        """Removes an operation's leftovers; those bound to a machine, by a worker of that one."""
        if operation.lane != ANY_LANE:
            # With growing pauses, because it keeps other work on the addon waiting.
            if self._pauses.is_due(operation.id):
                with self._tools.catalog.write() as session:
                    if leftovers.dispatch_cleaning(session, self._tools.queue, operation.id):
                        self._pauses.postpone(operation.id)
            return
        try:
            self._remove_leftovers(operation)
        except Exception as error:  # noqa: BLE001 - one that fails must not hold up the others
            log.warning("leftovers remain", extra={"op": operation.id, "error": str(error)})
            return
        with self._tools.catalog.write() as session:
            leftovers.cleaned(session, self._tools.queue, Dispatch(operation.id, operation.fence))
