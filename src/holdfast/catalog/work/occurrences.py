"""What became of the instants of a schedule: each is decided once."""

from sqlalchemy import func, select

from holdfast.catalog.database.page import Page, Slice, take
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Occurrence, Schedule
from holdfast.domain.schedules.firing import Decision


def at(session: ReadSession, schedule_pk: int, instant: int) -> Occurrence | None:
    """What was decided about an instant, alone or with others that were missed; None: nothing."""
    following = select(Occurrence).where(
        Occurrence.schedule_pk == schedule_pk, Occurrence.instant >= instant
    )
    found = session.scalar(following.order_by(Occurrence.instant).limit(1))
    return found if found is not None and found.since <= instant else None


def latest(session: ReadSession, schedule_pk: int) -> int:
    """The last instant of a schedule that was decided; 0 when there is none."""
    last = select(func.max(Occurrence.instant)).where(Occurrence.schedule_pk == schedule_pk)
    return session.scalar(last) or 0


def listed(session: ReadSession, schedule: Schedule, page: Page) -> Slice[Occurrence]:
    """The latest decisions first."""
    decided = select(Occurrence).where(Occurrence.schedule_pk == schedule.pk)
    return take(session, decided, Occurrence.pk, page, f"occurrences of {schedule.pk}")


def row(decision: Decision, now: int, made: int | None = None) -> Occurrence:
    """`made` is the backup that the decision caused."""
    return Occurrence(
        schedule_pk=decision.key,
        instant=decision.instant,
        since=decision.since,
        count=decision.count,
        outcome=decision.outcome,
        reason=decision.reason,
        backup_pk=decision.backup if made is None else made,
        decided=now,
    )
