"""Drills: order one, by request or by plan, end it, and say what its server was found to be."""

from collections.abc import Iterable, Iterator, Sequence

from holdfast.catalog import addons, backups, drills, objectives
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
from holdfast.usecases.context import Context


def start(context: Context, addon: Addon, backup: Backup | None, keep_minutes: int = 0) -> Drill:
    """Orders a drill of `backup`; None: of the newest good one. It runs beside other work.

    Conflict if one is under way, or if there is nothing to drill.
    """
    session = context.session
    lock_addon(session, addon.pk)
    going = drills.open_of_addon(session, addon.pk)
    if going is not None:
        raise Conflict(f"the drill {going.id} of this addon is {going.status}; abort it or wait")
    if backup is None:
        backup = backups.latest_good(session, addon.pk)
        if backup is None:
            raise Conflict("the addon has no good backup to drill; take one first")
    session.refresh(backup)
    if backup.deleted is not None:
        raise NotFound(f"there is no backup {backup.id!r}")
    if backup.status != Status.COMPLETED:
        raise Conflict(f"the backup is {backup.status}; only completed ones can be drilled")
    queue = context.services.queue
    return _order(session, queue, addon, backup.pk, Cause.REQUEST, context.now, keep_minutes)


def follow(session: WriteSession, queue: Queue, addon: Addon, backup_pk: int, now: int) -> None:
    """Orders the drill that was asked for with the backup, which has just been completed; none if
    another one of the addon is under way. The addon is not locked: its operation's row already is,
    and an abort of that one locks them the other way round."""
    if drills.open_of_addon(session, addon.pk) is None:
        _order(session, queue, addon, backup_pk, Cause.BACKUP, now)


def _order(
    session: WriteSession,
    queue: Queue,
    addon: Addon,
    backup_pk: int,
    cause: Cause,
    now: int,
    keep_minutes: int = 0,
) -> Drill:
    row = Drill(
        id=ids.hex24(),
        addon_pk=addon.pk,
        backup_pk=backup_pk,
        cause=cause,
        status=Status.SCHEDULED,
        operation="",
        findings=[],
        times={},
        size=0,
        keep_minutes=keep_minutes,
        opinions=[],
        created=now,
    )
    session.add(row)
    session.flush()
    arguments = DrillArguments(backup=backup_pk, drill=row.pk).document()
    order = Order(addon.pk, Kind.DRILL, DRILL_LANE, arguments)
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
        if cause is Cause.PLAN and drill.takes_older(drilled):
            backup_pk = good[drill.any_of(candidate.uid, drilled, len(good))]
        addon = addons.get(session, candidate.addon_pk)
        _order(session, queue, addon, backup_pk, cause, now)
        ordered += 1
    return ordered


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
