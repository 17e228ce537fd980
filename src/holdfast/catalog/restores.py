"""Restore rows."""

from collections.abc import Collection

from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from holdfast.catalog.database.among import among
from holdfast.catalog.database.page import Page, Slice, take
from holdfast.catalog.database.plain import Plain
from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import Addon, Backup, Document, Drill, Project, Restore
from holdfast.domain.access import Caller
from holdfast.domain.backup import BackupType
from holdfast.domain.operation import OVER, Status


def reading(session: ReadSession, addon_pk: int) -> bool:
    """Whether a backup of this addon is being restored, into any addon or for a drill."""
    return any(
        session.scalar(
            select(table.pk)
            .join(Backup, Backup.pk == table.backup_pk)
            .where(Backup.addon_pk == addon_pk, table.status.not_in(OVER))
            .limit(1)
        )
        for table in (Restore, Drill)
    )


def get(session: ReadSession, pk: int) -> Restore:
    return session.get_one(Restore, pk)


def find(session: ReadSession, restore_id: str) -> Restore | None:
    return session.scalar(select(Restore).where(Restore.id == restore_id))


def latest(session: ReadSession, backup_pks: Collection[int]) -> dict[int, Restore]:
    """Most recent restore of each backup, as a plain row."""
    rows = _PLAIN.read(session, _LATEST, {"backup_pks": list(backup_pks)})
    return {restore.backup_pk: restore for restore in rows}


_NEWEST = (
    select(func.max(Restore.pk))
    .where(among(Restore.backup_pk, "backup_pks"), Restore.undoes.is_(None))
    .group_by(Restore.backup_pk)
)
_PLAIN = Plain(Restore)
_LATEST = _PLAIN.rows.where(Restore.pk.in_(_NEWEST))


def later_in_place(session: ReadSession, restore: Restore) -> Restore | None:
    """The newest restore into the same addon that completed after this one and was not undone."""
    undoing = aliased(Restore)
    undone = select(undoing.pk).where(
        undoing.undoes == Restore.id, undoing.status == Status.COMPLETED
    )
    later = select(Restore).where(
        Restore.addon_pk == restore.addon_pk,
        Restore.pk > restore.pk,
        Restore.status == Status.COMPLETED,
        Restore.undoes.is_(None),
        ~undone.exists(),
    )
    return session.scalar(later.order_by(Restore.pk.desc()).limit(1))


def open_undo(session: ReadSession, restore: Restore) -> Restore | None:
    rows = select(Restore).where(Restore.undoes == restore.id, Restore.status.not_in(OVER))
    return session.scalar(rows.limit(1))


def with_old_data(session: ReadSession, now: int, limit: int) -> list[int]:
    """Restores whose old data was set aside until before `now`, by pk, oldest first."""
    due = select(Restore.pk).where(Restore.old_until <= now)
    return list(session.scalars(due.order_by(Restore.old_until).limit(limit)))


def keeping_old_data(session: ReadSession, addon_pk: int) -> list[Restore]:
    """Restores into an addon whose old data is set aside."""
    rows = select(Restore).where(Restore.addon_pk == addon_pk, Restore.old_until.is_not(None))
    return list(session.scalars(rows))


def forget_old_data(session: WriteSession, addon_pk: int) -> None:
    """Records that the old data of an addon's restores is gone with its other data."""
    for restore in keeping_old_data(session, addon_pk):
        restore.old_until = None


def of_backup(session: ReadSession, caller: Caller, backup: Backup, page: Page) -> Slice[Restore]:
    """Restores of a backup into projects that the caller sees."""
    rows = select(Restore).where(Restore.backup_pk == backup.pk)
    if caller.projects is not None:
        into = select(Addon.pk).join(Project, Project.pk == Addon.project_pk)
        rows = rows.where(Restore.addon_pk.in_(into.where(Project.id.in_(caller.projects))))
    return take(session, rows, Restore.pk, page, f"restores from {backup.pk}")


_RECENT = 20  # enough, because the counters in the facts only grow


def facts_beside(session: ReadSession, backup: Backup) -> list[Document]:
    """Facts of the newest snapshots of a backup's addon, and reports of its newest restores."""
    snapshots = (
        select(Backup.evidence)
        .where(Backup.addon_pk == backup.addon_pk, Backup.type == BackupType.SNAPSHOT)
        .order_by(Backup.pk.desc())
        .limit(_RECENT)
    )
    into = select(Restore.report).where(Restore.addon_pk == backup.addon_pk)
    reports = session.scalars(into.order_by(Restore.pk.desc()).limit(_RECENT))
    facts = [(evidence or {}).get("facts", {}) for evidence in session.scalars(snapshots)]
    return [*facts, *(report for report in reports if report)]


def of_addon(session: ReadSession, addon: Addon, page: Page) -> Slice[Restore]:
    rows = select(Restore).where(Restore.addon_pk == addon.pk)
    return take(session, rows, Restore.pk, page, f"restores into {addon.pk}")
