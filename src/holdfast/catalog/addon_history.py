"""Reads what became of an addon's backups over time: taken, failed, missed, restored, stored."""

from typing import NamedTuple

from sqlalchemy import select

from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Backup, Copy, Drill, Occurrence, Restore, Schedule
from holdfast.domain.schedules.schedule import Outcome


class Taken(NamedTuple):
    """One backup, also one that expired since. Instants in ms since 1970."""

    at: int
    type: str
    status: str


class Missed(NamedTuple):
    """Instants of a schedule at which nothing was taken; `instants` of them, until `at`."""

    at: int
    type: str
    instants: int


class Proven(NamedTuple):
    """A drill or a restore. `verdict`: of drills only."""

    id: str
    at: int
    status: str
    verdict: str | None
    backup_pk: int


class StoredCopy(NamedTuple):
    """Bytes that lie at a destination (None: the platform store) from one instant to another."""

    destination_pk: int | None
    size: int
    since: int
    until: int | None


def taken(session: ReadSession, addon_pk: int, since: int) -> list[Taken]:
    """Backups taken since then, the oldest first."""
    rows = select(Backup.created, Backup.type, Backup.status).where(
        Backup.addon_pk == addon_pk, Backup.created >= since
    )
    return [Taken(*row) for row in session.execute(rows.order_by(Backup.pk))]


def missed(session: ReadSession, addon_pk: int, since: int) -> list[Missed]:
    rows = (
        select(Occurrence.instant, Schedule.type, Occurrence.count)
        .join(Schedule, Schedule.pk == Occurrence.schedule_pk)
        .where(
            Schedule.addon_pk == addon_pk,
            Occurrence.instant >= since,
            Occurrence.outcome.not_in((Outcome.FIRED, Outcome.PAUSED)),
        )
    )
    return [Missed(*row) for row in session.execute(rows.order_by(Occurrence.instant))]


def drills(session: ReadSession, addon_pk: int, since: int) -> list[Proven]:
    rows = select(Drill.id, Drill.created, Drill.status, Drill.verdict, Drill.backup_pk).where(
        Drill.addon_pk == addon_pk, Drill.created >= since
    )
    return [Proven(*row) for row in session.execute(rows.order_by(Drill.pk))]


def restores(session: ReadSession, addon_pk: int, since: int) -> list[Proven]:
    """Restores into the addon, whatever they restored."""
    rows = select(Restore.id, Restore.created, Restore.status, Restore.backup_pk).where(
        Restore.addon_pk == addon_pk, Restore.created >= since
    )
    return [
        Proven(identifier, at, status, None, backup_pk)
        for identifier, at, status, backup_pk in session.execute(rows.order_by(Restore.pk))
    ]


def stored(session: ReadSession, addon_pk: int, since: int) -> list[StoredCopy]:
    """Copies that held bytes at some time since then."""
    rows = select(Copy.destination_pk, Copy.size, Copy.completed, Copy.gone).where(
        Copy.addon_pk == addon_pk,
        Copy.completed.is_not(None),
        Copy.size > 0,
        (Copy.gone.is_(None)) | (Copy.gone >= since),
    )
    return [StoredCopy(*row) for row in session.execute(rows)]
