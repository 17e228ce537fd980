"""Schedule rows. A deleted one keeps its row, so its history can still be shown."""

from collections.abc import Collection

from sqlalchemy import Text, cast, func, or_, select

from holdfast.catalog.database.page import Page, Slice, take
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Addon, Schedule
from holdfast.domain.schedules.schedule import Interval, Scheduling


def rule(schedule: Schedule) -> Scheduling:
    return Scheduling(
        Interval(schedule.interval),
        tuple(schedule.minute),
        tuple(schedule.hour),
        tuple(schedule.day),
    )


def find(session: ReadSession, addon_pk: int, schedule_id: str) -> Schedule | None:
    """The living schedule of that id."""
    schedule = find_ever(session, addon_pk, schedule_id)
    return schedule if schedule is not None and schedule.deleted is None else None


def find_ever(session: ReadSession, addon_pk: int, schedule_id: str) -> Schedule | None:
    """The schedule of that id, deleted or not."""
    return session.scalar(
        select(Schedule).where(Schedule.addon_pk == addon_pk, Schedule.id == schedule_id)
    )


def living(session: ReadSession, schedule_id: str) -> Schedule | None:
    """The schedule of that id, of whatever addon."""
    rows = select(Schedule).where(Schedule.id == schedule_id, Schedule.deleted.is_(None))
    return session.scalar(rows)


def of_addon(session: ReadSession, addon_pk: int) -> list[Schedule]:
    """The living schedules, newest first, read anew."""
    return of_addons(session, [addon_pk]).get(addon_pk, [])


def of_addons(session: ReadSession, addon_pks: Collection[int]) -> dict[int, list[Schedule]]:
    living = select(Schedule).where(Schedule.addon_pk.in_(addon_pks), Schedule.deleted.is_(None))
    newest_first = living.order_by(Schedule.pk.desc())
    grouped: dict[int, list[Schedule]] = {}
    for schedule in session.scalars(newest_first.execution_options(populate_existing=True)):
        grouped.setdefault(schedule.addon_pk, []).append(schedule)
    return grouped


def listed(session: ReadSession, addon: Addon, page: Page) -> Slice[Schedule]:
    living = select(Schedule).where(Schedule.addon_pk == addon.pk, Schedule.deleted.is_(None))
    return take(session, living, Schedule.pk, page, f"schedules of {addon.pk}")


def using(session: ReadSession, destination_pk: int) -> list[Schedule]:
    """The living schedules that send copies to a destination."""
    candidates = select(Schedule).where(
        Schedule.deleted.is_(None),
        or_(
            Schedule.destination_pk == destination_pk,
            func.length(cast(Schedule.additional, Text)) > len("[]"),
        ),
    )
    return [
        schedule
        for schedule in session.scalars(candidates.order_by(Schedule.pk))
        if destination_pk in destination_pks(schedule)
    ]


def destination_pks(schedule: Schedule) -> list[int | None]:
    """Keys of all its destinations, the first copy's first; None is the platform store."""
    return [schedule.destination_pk, *(copy["destination"] for copy in schedule.additional)]
