"""Drills: order one, by request or by plan, end it, and say what its server was found to be."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from holdfast.catalog import addons, backups, drills, objectives
from holdfast.catalog.archiving import archives
from holdfast.catalog.database.session import ReadSession, WriteSession, lock_addon
from holdfast.catalog.drills import Candidate
from holdfast.catalog.schema import Addon, Backup, Drill
from holdfast.catalog.work import operations
from holdfast.catalog.work.operations import Order
from holdfast.contracts.drills import Assertion
from holdfast.contracts.job_arguments import DrillArguments
from holdfast.contracts.queue import Queue
from holdfast.domain.errors import Conflict, NotFound
from holdfast.domain.operation import DRILL_LANE, Kind, Status
from holdfast.domain.proof import drill
from holdfast.domain.proof.drill import Cause, Plan
from holdfast.domain.protection import proof_within_ms
from holdfast.kit import ids
from holdfast.kit.clock import rfc3339
from holdfast.usecases.archiving import windows
from holdfast.usecases.archiving.recovery import Planned
from holdfast.usecases.context import Context


@dataclass(frozen=True)
class _Moment:
    """An instant of an archive: `line_pk` of its log leads there."""

    instant: int
    line_pk: int


def start(
    context: Context, addon: Addon, point: Backup | Planned | None, keep_minutes: int = 0
) -> Drill:
    """Orders a drill of a backup, or of a moment; None: of the newest good backup. It runs beside
    other work.

    Conflict if one is under way, or if there is nothing to drill.
    """
    session = context.session
    lock_addon(session, addon.pk)
    going = drills.open_of_addon(session, addon.pk)
    if going is not None:
        raise Conflict(f"the drill {going.id} of this addon is {going.status}; abort it or wait")
    moment = None
    if isinstance(point, Planned):
        assert point.recovery.instant is not None
        backup = backups.get(session, point.route.base.key)
        moment = _Moment(point.recovery.instant, point.route.window.line)
    else:
        backup = point or backups.latest_good(session, addon.pk)
    if backup is None:
        raise Conflict("the addon has no good backup to drill; take one first")
    session.refresh(backup)
    if backup.deleted is not None:
        raise NotFound(f"there is no backup {backup.id!r}")
    if backup.status != Status.COMPLETED:
        raise Conflict(f"the backup is {backup.status}; only completed ones can be drilled")
    order = _Order(addon, backup.pk, Cause.REQUEST, moment, keep_minutes)
    return _order(session, context.services.queue, order, context.now)


def follow(session: WriteSession, queue: Queue, addon: Addon, backup_pk: int, now: int) -> None:
    """Orders the drill that was asked for with the backup, which has just been completed; none if
    another one of the addon is under way. The addon is not locked: its operation's row already is,
    and an abort of that one locks them the other way round."""
    if drills.open_of_addon(session, addon.pk) is None:
        _order(session, queue, _Order(addon, backup_pk, Cause.BACKUP), now)


@dataclass(frozen=True)
class _Order:
    addon: Addon
    backup_pk: int
    cause: Cause
    moment: _Moment | None = None
    keep_minutes: int = 0


def _order(session: WriteSession, queue: Queue, chosen: _Order, now: int) -> Drill:
    moment = chosen.moment
    row = Drill(
        id=ids.hex24(),
        addon_pk=chosen.addon.pk,
        backup_pk=chosen.backup_pk,
        instant=moment and moment.instant,
        cause=chosen.cause,
        status=Status.SCHEDULED,
        operation="",
        findings=[],
        times={},
        size=0,
        keep_minutes=chosen.keep_minutes,
        opinions=[],
        created=now,
    )
    session.add(row)
    session.flush()
    arguments = DrillArguments(
        backup=chosen.backup_pk,
        drill=row.pk,
        instant=row.instant,
        line=moment and moment.line_pk,
    ).document()
    order = Order(chosen.addon.pk, Kind.DRILL, DRILL_LANE, arguments)
    row.operation = operations.create(session, queue, order, now).id
    return row


def abort(context: Context, row: Drill) -> None:
    """Ends a drill; its throwaway server goes with it."""
    reason = f"aborted by {context.caller.name}"
    queue = context.services.queue
    if not operations.abort(context.session, queue, row.operation, reason, context.now):
        raise Conflict(f"the drill is {row.status} already")


def release(context: Context, row: Drill) -> None:
    """Gives the kept server of a drill up before its time."""
    if row.kept_until is None:
        raise Conflict("the server of this drill is not kept")
    row.kept_until = context.now


def give_opinion(context: Context, row: Drill, *, passed: bool, note: str) -> None:
    """Adds what a person or a script found out about the restored server."""
    if row.verdict is None:
        raise Conflict("this drill came to no verdict of its own yet")
    opinion = {
        "passed": passed,
        "note": note,
        "by": context.caller.name,
        "at": rfc3339(context.now),
    }
    row.opinions = [*row.opinions, opinion]


def put_assertions(context: Context, addon: Addon, assertions: Sequence[Assertion]) -> None:
    lock_addon(context.session, addon.pk)
    drills.put_assertions(context.session, addon.pk, assertions)


def put_plan(context: Context, addon: Addon, plan: Plan) -> None:
    lock_addon(context.session, addon.pk)
    drills.put_plan(context.session, addon.pk, plan)


Wanted = tuple[Candidate, Cause]


def order(session: WriteSession, queue: Queue, wanted: Iterable[Wanted], now: int) -> int:
    """Orders the drills that plans want; returns how many."""
    ordered = 0
    for candidate, cause in wanted:
        lock_addon(session, candidate.addon_pk)
        good = drills.good_backups(session, candidate.addon_pk)
        if not good or drills.open_of_addon(session, candidate.addon_pk) is not None:
            continue
        backup_pk = good[-1]
        drilled = drills.count_of(session, candidate.addon_pk)
        moment = None
        if cause is Cause.PLAN and drill.takes_older(drilled):
            backup_pk = good[drill.any_of(candidate.uid, drilled, len(good))]
        elif cause is Cause.PLAN and drill.takes_instant(drilled):
            backup_pk, moment = _any_moment(session, candidate, drilled) or (backup_pk, None)
        addon = addons.get(session, candidate.addon_pk)
        _order(session, queue, _Order(addon, backup_pk, cause, moment), now)
        ordered += 1
    return ordered


def _any_moment(
    session: ReadSession, candidate: Candidate, drilled: int
) -> tuple[int, _Moment] | None:
    """Any moment of the addon's archive, and the snapshot before it; None if it reaches none."""
    archive = archives.of_addon(session, candidate.addon_pk)
    if archive is None:
        return None
    outlook = windows.outlook(session, archive)
    if not outlook.windows:
        return None
    spans = [(window.begin, window.end) for window in outlook.windows]
    instant = drill.instant_of(candidate.uid, drilled, spans)
    route = outlook.route_to(instant)
    return route.base.key, _Moment(instant, route.window.line)


def wanted(session: ReadSession, now: int) -> Iterator[Wanted]:
    """The drills that plans want now.

    Asks for an addon's last drill only if that matters, because there are thousands of addons.
    """
    chosen = objectives.of_all(session)
    for candidate in drills.candidates(session):
        objective = objectives.effective(chosen, candidate.project_pk, candidate.addon_pk)
        plan, within = candidate.plan, proof_within_ms(objective)
        due = drill.due_at(candidate.uid, candidate.first_good, candidate.proven, within)
        is_due = plan.scheduled and now >= due
        if not is_due and not plan.after_backup:
            continue
        last = drills.last_of(session, candidate.addon_pk)
        if plan.after_backup and (last is None or last.backup_pk < candidate.newest):
            yield candidate, Cause.BACKUP
        elif is_due and (last is None or now >= last.created + min(drill.RETRY_MS, within // 4)):
            yield candidate, Cause.PLAN
