"""Decisions about the instants of schedules; each instant is decided once."""

from sqlalchemy import func, select

from holdfast.catalog.database.page import Page, Slice, take
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Occurrence, Schedule
from holdfast.domain.schedules.firing import Decision


def at(session: ReadSession, schedule_pk: int, instant: int) -> Occurrence | None:
    """The decision about an instant, alone or with other missed ones; None: undecided."""
    following = select(Occurrence).where(
        Occurrence.schedule_pk == schedule_pk, Occurrence.instant >= instant
    )
    occurrence = session.scalar(following.order_by(Occurrence.instant).limit(1))
    return occurrence if occurrence is not None and occurrence.since <= instant else None


def latest(session: ReadSession, schedule_pk: int) -> int:
    """The last decided instant of a schedule; 0: none."""
    last = select(func.max(Occurrence.instant)).where(Occurrence.schedule_pk == schedule_pk)
    return session.scalar(last) or 0


def listed(session: ReadSession, schedule: Schedule, page: Page) -> Slice[Occurrence]:
    """The latest decisions first."""
    decided = select(Occurrence).where(Occurrence.schedule_pk == schedule.pk)
    return take(session, decided, Occurrence.pk, page, f"occurrences of {schedule.pk}")


def row(decision: Decision, now: int, backup_pk: int | None = None) -> Occurrence:
    """The row of a decision; `backup_pk` is the backup it caused."""
    return Occurrence(
        schedule_pk=decision.key,
        instant=decision.instant,
        since=decision.since,
        count=decision.count,
        outcome=decision.outcome,
        reason=decision.reason,
        backup_pk=decision.backup if backup_pk is None else backup_pk,
        decided=now,
    )
