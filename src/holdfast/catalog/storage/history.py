"""Removes old rows of deleted backups and ended operations, a few at a time."""

from collections.abc import Collection

from sqlalchemy import Delete, Update, and_, delete, or_, select, update
from sqlalchemy.orm import aliased

from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import (
    Addon,
    Backup,
    Copy,
    Deletion,
    Drill,
    Finding,
    Line,
    Occurrence,
    Operation,
    Reading,
    Restore,
    Schedule,
)
from holdfast.domain.operation import OVER, Status


def forgettable(session: ReadSession, before: int, limit: int) -> list[int]:
    """Deleted backups without any object since before that instant, the oldest first."""
    remaining = select(Copy.pk).where(
        Copy.backup_pk == Backup.pk, (Copy.gone.is_(None)) | (Copy.gone >= before)
    )
    used = [
        select(table.pk).where(table.backup_pk == Backup.pk, table.status.not_in(OVER))
        for table in (Restore, Drill)
    ]
    rows = select(Backup.pk).where(
        Backup.deleted < before, ~remaining.exists(), *(~using.exists() for using in used)
    )
    return list(session.scalars(rows.order_by(Backup.deleted, Backup.pk).limit(limit)))


def forget(session: WriteSession, backup_pks: Collection[int]) -> None:
    """Removes the backups with their deletions, findings, restores, drills, operations and logs."""
    copy_pks = list(session.scalars(select(Copy.pk).where(Copy.backup_pk.in_(backup_pks))))
    works = [
        *session.scalars(select(Backup.operation).where(Backup.pk.in_(backup_pks))),
        *session.scalars(select(Restore.operation).where(Restore.backup_pk.in_(backup_pks))),
        *session.scalars(select(Drill.operation).where(Drill.backup_pk.in_(backup_pks))),
    ]
    named = [work for work in works if work is not None]
    decided = update(Occurrence).where(Occurrence.backup_pk.in_(backup_pks))
    _do(session, decided.values(backup_pk=None))
    _do(session, delete(Deletion).where(Deletion.copy_pk.in_(copy_pks)))
    _do(session, delete(Finding).where(Finding.copy_pk.in_(copy_pks)))
    _do(session, delete(Reading).where(Reading.copy_pk.in_(copy_pks)))
    _do(session, delete(Copy).where(Copy.pk.in_(copy_pks)))
    _do(session, delete(Restore).where(Restore.backup_pk.in_(backup_pks)))
    _do(session, delete(Drill).where(Drill.backup_pk.in_(backup_pks)))
    _do(session, delete(Backup).where(Backup.pk.in_(backup_pks)))
    _do(session, delete(Line).where(Line.operation.in_(named)))
    _do(session, delete(Operation).where(Operation.id.in_(named)))


def forget_settled(session: WriteSession, before: int) -> None:
    """Removes findings settled, and deletions without a copy done, before that instant."""
    _do(session, delete(Finding).where(Finding.settled < before))
    _do(session, delete(Deletion).where(Deletion.copy_pk.is_(None), Deletion.done < before))


def worn_restores(session: ReadSession, before: int, limit: int) -> list[str]:
    """Operations of restores that ended before that instant. Each addon's newest restore stays."""
    newer = aliased(Restore)
    later = select(newer.pk).where(newer.addon_pk == Restore.addon_pk, newer.pk > Restore.pk)
    worn = select(Restore.operation).where(
        Restore.status.in_(OVER),
        Restore.completed < before,
        Restore.old_until.is_(None),
        later.exists(),
    )
    return list(session.scalars(worn.order_by(Restore.completed).limit(limit)))


def worn_drills(session: ReadSession, before: int, limit: int) -> list[str]:
    """Operations of drills that ended before that instant. Each addon's newest drill stays."""
    newer = aliased(Drill)
    later = select(newer.pk).where(newer.addon_pk == Drill.addon_pk, newer.pk > Drill.pk)
    worn = select(Drill.operation).where(
        Drill.status.in_(OVER), Drill.completed < before, later.exists()
    )
    return list(session.scalars(worn.order_by(Drill.completed).limit(limit)))


def worn_operations(session: ReadSession, before: int, limit: int) -> list[str]:
    """Operations that ended before that instant and that no backup, copy, restore or drill names.

    Each addon's newest operation stays, and its newest failure, which it shows; none does if the
    addon itself was deleted before that instant.
    """
    newer, failed = aliased(Operation), aliased(Operation)
    later = select(newer.pk).where(
        newer.addon_pk == Operation.addon_pk,
        newer.status.in_(OVER),
        newer.pk > Operation.pk,
    )
    failed_later = select(failed.pk).where(
        failed.addon_pk == Operation.addon_pk,
        failed.status == Status.FAILED,
        failed.pk > Operation.pk,
    )
    lived = select(Addon.pk).where(Addon.pk == Operation.addon_pk, Addon.deleted < before)
    named = [
        select(table.pk).where(table.operation == Operation.id)
        for table in (Backup, Copy, Restore, Drill)
    ]
    outlived = and_(later.exists(), or_(Operation.status != Status.FAILED, failed_later.exists()))
    worn = select(Operation.id).where(
        Operation.status.in_(OVER),
        Operation.slot.is_(None),
        Operation.litter.is_(False),
        Operation.ended < before,
        *(~naming.exists() for naming in named),
        or_(outlived, lived.exists()),
    )
    return list(session.scalars(worn.order_by(Operation.ended).limit(limit)))


def forget_operations(session: WriteSession, operations: Collection[str]) -> None:
    """Removes operations with their logs, their restores and their drills."""
    _do(session, delete(Restore).where(Restore.operation.in_(operations)))
    _do(session, delete(Drill).where(Drill.operation.in_(operations)))
    _do(session, delete(Line).where(Line.operation.in_(operations)))
    _do(session, delete(Operation).where(Operation.id.in_(operations)))


def forget_occurrences(session: WriteSession, before: int, limit: int) -> int:
    """Removes old decisions about instants. Each living schedule's newest decision stays."""
    newer = aliased(Occurrence)
    later = select(newer.pk).where(
        newer.schedule_pk == Occurrence.schedule_pk, newer.instant > Occurrence.instant
    )
    ended = select(Schedule.pk).where(
        Schedule.pk == Occurrence.schedule_pk, Schedule.deleted.is_not(None)
    )
    worn = select(Occurrence.pk).where(
        Occurrence.decided < before, or_(later.exists(), ended.exists())
    )
    pks = list(session.scalars(worn.order_by(Occurrence.decided).limit(limit)))
    _do(session, delete(Occurrence).where(Occurrence.pk.in_(pks)))
    return len(pks)


def _do(session: WriteSession, statement: Update | Delete) -> None:
    session.execute(statement.execution_options(synchronize_session=False))
