"""What whoever fires schedules asks and changes, for many addons at once."""

from collections.abc import Collection, Iterable

from sqlalchemy import BigInteger, Integer, and_, bindparam, or_, select, tuple_

from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import Addon, Backup, Occurrence, Operation, Project, Schedule
from holdfast.catalog.work.schedules import rule
from holdfast.domain.operation import TAKING, Status
from holdfast.domain.schedules.schedule import PERIOD, count_due, latest_due, next_due

Mark = tuple[int, int]
"""A place in the order in which schedules become due: the instant, and the addon's key."""


def due(session: ReadSession, now: int, after: Mark | None, limit: int) -> list[Mark]:
    """Where something is due, past `after`, the longest waiting first."""
    wanted = _DUE
    if after is not None:
        wanted = wanted.where(tuple_(Schedule.next_due, Schedule.addon_pk) > after)
    return list(session.execute(wanted, {"now": now, "limit": limit}))


_DUE = (
    select(Schedule.next_due, Schedule.addon_pk)
    .where(Schedule.deleted.is_(None), Schedule.next_due <= bindparam("now", type_=BigInteger))
    .order_by(Schedule.next_due, Schedule.addon_pk)
    .limit(bindparam("limit", type_=Integer))
)


def due_of(session: WriteSession, addon_pks: Collection[int], now: int) -> list[Schedule]:
    """The due schedules of addons whose lock we hold, as they are now."""
    wanted = select(Schedule).where(
        Schedule.addon_pk.in_(addon_pks), Schedule.deleted.is_(None), Schedule.next_due <= now
    )
    ordered = wanted.order_by(Schedule.addon_pk, Schedule.pk)
    return list(session.scalars(ordered.execution_options(populate_existing=True)))


def owners(session: ReadSession, addon_pks: Collection[int]) -> dict[int, tuple[Addon, str]]:
    """The addons, and the ids of their projects."""
    wanted = select(Addon, Project.id).join(Project, Project.pk == Addon.project_pk)
    rows = session.execute(wanted.where(Addon.pk.in_(addon_pks)))
    return {addon.pk: (addon, project) for addon, project in rows}


def waiting(session: ReadSession, addon_pks: Collection[int]) -> dict[str, int]:
    """Ids of schedules to the newest backup each caused, where that has not begun yet."""
    wanted = (
        select(Backup.schedules, Backup.pk)
        .join(Operation, Operation.id == Backup.operation)
        .where(
            Operation.addon_pk.in_(addon_pks),
            Operation.status == Status.SCHEDULED,
            Operation.kind.in_(TAKING),
        )
        .order_by(Backup.pk)
    )
    rows = session.execute(wanted)
    return {cause["id"]: pk for causes, pk in rows for cause in causes or ()}


def decided(session: ReadSession, schedule_pks: Collection[int], now: int) -> dict[int, int]:
    """The last instant that is due and was decided all the same, of schedules that have one.

    There is none unless the clock went back or rows came from somewhere else.
    """
    wanted = (
        select(Schedule.pk, Occurrence.instant)
        .join(Occurrence, Occurrence.schedule_pk == Schedule.pk)
        .where(
            Schedule.pk.in_(schedule_pks),
            Occurrence.instant >= Schedule.next_due,
            Occurrence.instant <= now,
        )
        .order_by(Occurrence.instant)
    )
    return dict(session.execute(wanted).all())


def taken(session: ReadSession, names: Iterable[tuple[int, str]]) -> set[tuple[int, str]]:
    """Which of these (addon, backup id) there are."""
    key = tuple_(Backup.addon_pk, Backup.id)
    return set(session.execute(select(Backup.addon_pk, Backup.id).where(key.in_(set(names)))))


def ahead(session: ReadSession, now: int, limit: int) -> list[Schedule]:
    """Schedules that wait for longer than there can be anything to wait for."""
    too_far = [
        and_(Schedule.interval == interval, Schedule.next_due > now + period)
        for interval, period in PERIOD.items()
    ]
    wanted = select(Schedule).where(Schedule.deleted.is_(None), or_(*too_far))
    return list(session.scalars(wanted.order_by(Schedule.pk).limit(limit)))


def realign(session: WriteSession, schedule: Schedule, now: int) -> None:
    """Takes back what was decided about instants that have not come yet."""
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
