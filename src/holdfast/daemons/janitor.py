"""Cleans up behind everybody: leftovers of failed attempts, answers that nobody repeats, rows
of what has been gone for long, and what a wrong clock left in the future."""

import logging
from collections.abc import Callable

from holdfast.catalog import imports, restores
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Operation
from holdfast.catalog.storage import copies, history, repositories
from holdfast.catalog.work import chores, leftovers, replays
from holdfast.contracts.queue import Dispatch
from holdfast.domain.operation import ANY_LANE
from holdfast.domain.retention.rules import Policy
from holdfast.kit.steady_clock import Steadiness
from holdfast.usecases.imports import part_prefix, retire_upload
from holdfast.usecases.restores import order_drop
from holdfast.usecases.retention import expiry
from holdfast.usecases.toolbox import Toolbox

log = logging.getLogger(__name__)

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_DAY_MS = 24 * _HOUR_MS
_ROWS_AT_ONCE = 200
_FIRST_PAUSE, _LONGEST_PAUSE = 10.0, 3600.0  # seconds


class Janitor:
    """What is old is removed only while the clock that says so is `steady`; None: it always is."""

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
        self._looked_at = 0
        self._pauses: dict[str, tuple[float, float]] = {}

    def round(self) -> None:
        with self._tools.catalog.read() as session:
            littered = leftovers.littered(session, self._looked_at)
            session.expunge_all()
        # All get their turn, however many cannot be cleaned up just now.
        self._looked_at = littered[-1].pk if littered else 0
        for operation in littered:
            self._clean(operation)
        with self._tools.catalog.write() as session:
            replays.forget_old(session)
        self._forget_addresses()
        steady = self._steady is None or self._steady.holds()
        before = self._tools.clock.now() - _DAY_MS if steady else imports.DROPPED + 1
        self._sweep_uploads(before)
        if steady:
            self._now_and_then("history", _DAY_MS, self._forget)
            self._now_and_then("old-data", _MINUTE_MS, self._drop_old_data)
        self._now_and_then("clocks", _HOUR_MS, self._set_right)

    def _forget_addresses(self) -> None:
        with self._tools.catalog.read() as session:
            over = imports.addresses_over(session)
        if over:
            with self._tools.catalog.write() as session:
                imports.forget_addresses(session, over)

    def _now_and_then(self, name: str, every_ms: int, work: Callable[[int], None]) -> None:
        """One of all janitors does it."""
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

    def _forget(self, now: int) -> None:
        before = now - self._policy.history_ms
        while True:
            with self._tools.catalog.read() as session:
                gone = history.forgettable(session, before, _ROWS_AT_ONCE)
            if not gone:
                break
            with self._tools.catalog.write() as session:
                history.forget(session, gone)
        for worn in (history.worn_restores, history.worn_operations):
            self._forget_worn(worn, before)
        with self._tools.catalog.write() as session:
            history.forget_settled(session, before)
        forgotten = _ROWS_AT_ONCE
        while forgotten == _ROWS_AT_ONCE:
            with self._tools.catalog.write() as session:
                forgotten = history.forget_occurrences(session, before, _ROWS_AT_ONCE)

    def _drop_old_data(self, now: int) -> None:
        """Orders the removal of what restores set aside until before `now`."""
        with self._tools.catalog.read() as session:
            due = restores.with_old_data(session, now, _ROWS_AT_ONCE)
        for pk in due:
            with self._tools.catalog.write() as session:
                order_drop(session, self._tools.queue, restores.get(session, pk), now)

    def _forget_worn(self, worn: Callable[[ReadSession, int, int], list[str]], before: int) -> None:
        while True:
            with self._tools.catalog.read() as session:
                operations = worn(session, before, _ROWS_AT_ONCE)
            if not operations:
                return
            with self._tools.catalog.write() as session:
                history.forget_operations(session, operations)

    def _sweep_uploads(self, before: int) -> None:
        """Removes those that became a good backup, and those not added to since `before`."""
        with self._tools.catalog.read() as session:
            old = {row.pk for row in imports.untouched_since(session, before)}
            gone = [
                row.pk
                for row in imports.all_uploads(session)
                if (row.pk in old or imports.imported(session, row.pk))
                and not imports.in_use(session, row.pk)
            ]
        for pk in gone:
            with self._tools.catalog.write() as session:
                upload = retire_upload(session, pk, before)
            if upload is not None:
                self._tools.open_store(None).clear(part_prefix(upload.id))
                with self._tools.catalog.write() as session:
                    imports.forget_upload(session, imports.upload(session, pk))

    def _set_right(self, now: int) -> None:
        """By a clock that is behind, what was touched just now would be of the future, and be dated
        back: that waits for a clock that can be believed. The rest is done sooner at worst."""
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

    def _clean(self, operation: Operation) -> None:
        """What is bound to one machine is cleaned up there, by its workers."""
        if operation.lane != ANY_LANE:
            self._have_cleaned(operation)
            return
        try:
            self._remove_leftovers(operation)
        except Exception as error:  # noqa: BLE001 - one that fails must not hold up the others
            log.warning("leftovers remain", extra={"op": operation.id, "error": str(error)})
            return
        with self._tools.catalog.write() as session:
            leftovers.cleaned(session, self._tools.queue, Dispatch(operation.id, operation.fence))

    def _have_cleaned(self, operation: Operation) -> None:
        """With growing pauses: while it is cleaned up nothing else is done to the addon."""
        now = self._tools.clock.monotonic()
        due, pause = self._pauses.get(operation.id, (now, _FIRST_PAUSE))
        if now < due:
            return
        with self._tools.catalog.write() as session:
            if leftovers.dispatch_cleaning(session, self._tools.queue, operation.id):
                self._pauses[operation.id] = now + pause, min(2 * pause, _LONGEST_PAUSE)
