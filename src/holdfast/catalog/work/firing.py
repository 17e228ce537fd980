"""Queries and changes of firing schedules, for many addons at once."""

from collections.abc import Collection, Iterable

from sqlalchemy import BigInteger, Integer, and_, bindparam, or_, select, tuple_

from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import Addon, Backup, Occurrence, Operation, Project, Schedule
from holdfast.catalog.work.schedules import rule
from holdfast.domain.operation import TAKING, Status
from holdfast.domain.schedules.schedule import PERIOD, count_due, latest_due, next_due

Mark = tuple[int, int]
"""A position in the order of due schedules: the instant, and the addon's key."""


def due(session: ReadSession, now: int, after: Mark | None, limit: int) -> list[Mark]:
    """Positions of due schedules after `after`, the longest waiting first."""
    statement = _DUE
    if after is not None:
        statement = statement.where(tuple_(Schedule.next_due, Schedule.addon_pk) > after)
    return list(session.execute(statement, {"now": now, "limit": limit}))


_DUE = (
    select(Schedule.next_due, Schedule.addon_pk)
    .where(
        Schedule.deleted.is_(None),
        Schedule.paused.is_(None),
        Schedule.next_due <= bindparam("now", type_=BigInteger),
    )
    .order_by(Schedule.next_due, Schedule.addon_pk)
    .limit(bindparam("limit", type_=Integer))
)


def due_of(session: WriteSession, addon_pks: Collection[int], now: int) -> list[Schedule]:
    """The due schedules of addons whose locks we hold, read anew."""
    statement = select(Schedule).where(
        Schedule.addon_pk.in_(addon_pks),
        Schedule.deleted.is_(None),
        Schedule.paused.is_(None),
        Schedule.next_due <= now,
    )
    ordered = statement.order_by(Schedule.addon_pk, Schedule.pk)
    return list(session.scalars(ordered.execution_options(populate_existing=True)))


def owners(session: ReadSession, addon_pks: Collection[int]) -> dict[int, tuple[Addon, str]]:
    """The addons, and the ids of their projects."""
    statement = select(Addon, Project.id).join(Project, Project.pk == Addon.project_pk)
    rows = session.execute(statement.where(Addon.pk.in_(addon_pks)))
    return {addon.pk: (addon, project) for addon, project in rows}


def waiting(session: ReadSession, addon_pks: Collection[int]) -> dict[str, int]:
    """The newest backup of each schedule that has not begun yet, by schedule id."""
    statement = (
        select(Backup.schedules, Backup.pk)
        .join(Operation, Operation.id == Backup.operation)
        .where(
            Operation.addon_pk.in_(addon_pks),
            Operation.status == Status.SCHEDULED,
            Operation.kind.in_(TAKING),
        )
        .order_by(Backup.pk)
    )
    rows = session.execute(statement)
    return {cause["id"]: pk for causes, pk in rows for cause in causes or ()}


def decided(session: ReadSession, schedule_pks: Collection[int], now: int) -> dict[int, int]:
    """The last instant of each schedule that is due although it was decided before.

    There is none unless the clock went back or rows were restored.
    """
    statement = (
        select(Schedule.pk, Occurrence.instant)
        .join(Occurrence, Occurrence.schedule_pk == Schedule.pk)
        .where(
            Schedule.pk.in_(schedule_pks),
            Occurrence.instant >= Schedule.next_due,
            Occurrence.instant <= now,
        )
        .order_by(Occurrence.instant)
    )
    return dict(session.execute(statement).all())


def taken(session: ReadSession, names: Iterable[tuple[int, str]]) -> set[tuple[int, str]]:
    """Those of the pairs (addon, backup id) that exist."""
    key = tuple_(Backup.addon_pk, Backup.id)
    return set(session.execute(select(Backup.addon_pk, Backup.id).where(key.in_(set(names)))))


def ahead(session: ReadSession, now: int, limit: int) -> list[Schedule]:
    """Schedules whose next instant is further away than their interval."""
    too_far = [
        and_(Schedule.interval == interval, Schedule.next_due > now + period)
        for interval, period in PERIOD.items()
    ]
    statement = select(Schedule).where(Schedule.deleted.is_(None), or_(*too_far))
    return list(session.scalars(statement.order_by(Schedule.pk).limit(limit)))


def realign(session: WriteSession, schedule: Schedule, now: int) -> None:
    """Takes back decisions about instants that have not come yet."""
    early = select(Occurrence).where(
        Occurrence.schedule_pk == schedule.pk, Occurrence.instant > now
    )
    for occurrence in session.scalars(early).all():
        if occurrence.since > now:
            session.delete(occurrence)
        else:
            occurrence.instant = latest_due(rule(schedule), now)
            occurrence.count = count_due(rule(schedule), occurrence.since - 1, now)
    schedule.next_due = next_due(rule(schedule), now)
