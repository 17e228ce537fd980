"""Restore rows."""

from collections.abc import Collection

from sqlalchemy import bindparam, func, select

from holdfast.catalog.page import Page, Slice, take
from holdfast.catalog.plain import Plain
from holdfast.catalog.schema import Addon, Backup, Document, Project, Restore
from holdfast.catalog.session import ReadSession
from holdfast.domain.access import Caller
from holdfast.domain.backup import BackupType
from holdfast.domain.operation import OVER


def reading(session: ReadSession, addon_pk: int) -> bool:
    """Is a backup of this addon being restored somewhere?"""
    going = select(Restore.pk).join(Backup, Backup.pk == Restore.backup_pk)
    busy = going.where(Backup.addon_pk == addon_pk, Restore.status.not_in(OVER))
    return session.scalar(busy.limit(1)) is not None


def get(session: ReadSession, pk: int) -> Restore:
    return session.get_one(Restore, pk)


def find(session: ReadSession, restore_id: str) -> Restore | None:
    return session.scalar(select(Restore).where(Restore.id == restore_id))


def latest(session: ReadSession, backup_pks: Collection[int]) -> dict[int, Restore]:
    """Backup to its most recent restore, a plain row."""
    found = _PLAIN.read(session, _LATEST, {"backup_pks": list(backup_pks)})
    return {restore.backup_pk: restore for restore in found}


_NEWEST = (
    select(func.max(Restore.pk))
    .where(Restore.backup_pk.in_(bindparam("backup_pks", expanding=True)))
    .group_by(Restore.backup_pk)
)
_PLAIN = Plain(Restore)
_LATEST = _PLAIN.rows.where(Restore.pk.in_(_NEWEST))


def of_backup(session: ReadSession, caller: Caller, backup: Backup, page: Page) -> Slice[Restore]:
    """Those into projects that the caller sees."""
    rows = select(Restore).where(Restore.backup_pk == backup.pk)
    if caller.projects is not None:
        into = select(Addon.pk).join(Project, Project.pk == Addon.project_pk)
        rows = rows.where(Restore.addon_pk.in_(into.where(Project.id.in_(caller.projects))))
    return take(session, rows, Restore.pk, page, f"restores from {backup.pk}")


_RECENT = 20  # what numbers its history only counts upwards


def facts_beside(session: ReadSession, backup: Backup) -> list[Document]:
    """Facts of the newest snapshots of a backup's addon, and reports of the newest restores."""
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
