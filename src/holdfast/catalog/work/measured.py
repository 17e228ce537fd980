"""How much work waits, goes on and has ended, and whether anything does it. Indexes answer: open
operations are few, and ended ones are those of a short time."""

from collections.abc import Sequence

from sqlalchemy import func, select

from holdfast.catalog.database.session import ReadSession, database_now
from holdfast.catalog.schema import Chore, Operation, Schedule, Worker
from holdfast.domain.operation import OVER, Status

_OPEN = sorted(set(Status) - OVER)


def counts(session: ReadSession) -> Sequence[tuple[str, str, int, int]]:
    """Kind, status, how many, and when the oldest of them was ordered (ms since 1970)."""
    counted = (
        select(Operation.kind, Operation.status, func.count(), func.min(Operation.created))
        .where(Operation.status.in_(_OPEN))
        .group_by(Operation.kind, Operation.status)
        .order_by(Operation.kind, Operation.status)
    )
    return [
        (kind, status, count, oldest) for kind, status, count, oldest in session.execute(counted)
    ]


def waiting_by_lane(session: ReadSession) -> Sequence[tuple[str, int, int]]:
    """Lane, how many operations wait in it, and when the oldest was ordered (ms since 1970)."""
    counted = (
        select(Operation.lane, func.count(), func.min(Operation.created))
        .where(Operation.status == Status.SCHEDULED)
        .group_by(Operation.lane)
        .order_by(Operation.lane)
    )
    return [(lane, count, oldest) for lane, count, oldest in session.execute(counted)]


def ended_since(session: ReadSession, since: int) -> Sequence[tuple[str, str, int, int]]:
    """Kind, status, how many ended, and how long they went on together (ms)."""
    duration_ms = func.sum(Operation.ended - func.coalesce(Operation.started, Operation.ended))
    counted = (
        select(Operation.kind, Operation.status, func.count(), duration_ms)
        .where(Operation.ended > since, Operation.status.in_(sorted(OVER)))
        .group_by(Operation.kind, Operation.status)
        .order_by(Operation.kind, Operation.status)
    )
    return [
        (kind, status, count, int(ms or 0)) for kind, status, count, ms in session.execute(counted)
    ]


def silence_by_node(session: ReadSession) -> Sequence[tuple[str, int]]:
    """Machines that have workers, and the ms since one of them last beat, both by the database's
    clock. Workers that stopped or were found dead are gone."""
    silence = database_now() - func.max(Worker.seen)
    rows = session.execute(select(Worker.node, silence).group_by(Worker.node).order_by(Worker.node))
    return [(node, int(ms)) for node, ms in rows]


def scheduler_due(session: ReadSession, upkeep: Sequence[str]) -> int | None:
    """The earliest instant (ms since 1970) at which a scheduler has something to do: a schedule, or
    one of the chores called `upkeep`. None: nothing is planned."""
    schedule = session.scalar(
        select(func.min(Schedule.next_due)).where(
            Schedule.deleted.is_(None), Schedule.paused.is_(None)
        )
    )
    chore = session.scalar(select(func.min(Chore.due)).where(Chore.name.in_(upkeep)))
    return min((due for due in (schedule, chore) if due is not None), default=None)
