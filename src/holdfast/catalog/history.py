"""Rows of what has been gone for long: removed a few at a time, all that belongs together."""

from collections.abc import Collection

from sqlalchemy import Delete, Update, delete, select, update

from holdfast.catalog.schema import (
    Backup,
    Copy,
    Deletion,
    Finding,
    Line,
    Occurrence,
    Operation,
    Reading,
    Restore,
)
from holdfast.catalog.session import ReadSession, WriteSession
from holdfast.domain.operation import OVER


def forgettable(session: ReadSession, before: int, limit: int) -> list[int]:
    """Backups of which nothing is left anywhere since before that instant, the oldest first."""
    here = select(Copy.pk).where(
        Copy.backup_pk == Backup.pk, (Copy.gone.is_(None)) | (Copy.gone >= before)
    )
    used = select(Restore.pk).where(Restore.backup_pk == Backup.pk, Restore.status.not_in(OVER))
    rows = select(Backup.pk).where(Backup.deleted < before, ~here.exists(), ~used.exists())
    return list(session.scalars(rows.order_by(Backup.deleted, Backup.pk).limit(limit)))


def forget(session: WriteSession, backup_pks: Collection[int]) -> None:
    """The backups and everything said about them: deletions, findings, restores, logs."""
    kept = list(session.scalars(select(Copy.pk).where(Copy.backup_pk.in_(backup_pks))))
    works = [
        *session.scalars(select(Backup.operation).where(Backup.pk.in_(backup_pks))),
        *session.scalars(select(Restore.operation).where(Restore.backup_pk.in_(backup_pks))),
    ]
    named = [work for work in works if work is not None]
    decided = update(Occurrence).where(Occurrence.backup_pk.in_(backup_pks))
    _do(session, decided.values(backup_pk=None))
    _do(session, delete(Deletion).where(Deletion.copy_pk.in_(kept)))
    _do(session, delete(Finding).where(Finding.copy_pk.in_(kept)))
    _do(session, delete(Reading).where(Reading.copy_pk.in_(kept)))
    _do(session, delete(Copy).where(Copy.pk.in_(kept)))
    _do(session, delete(Restore).where(Restore.backup_pk.in_(backup_pks)))
    _do(session, delete(Backup).where(Backup.pk.in_(backup_pks)))
    _do(session, delete(Line).where(Line.operation.in_(named)))
    _do(session, delete(Operation).where(Operation.id.in_(named)))


def forget_settled(session: WriteSession, before: int) -> None:
    """Findings settled, and deletions of no copy done, before that instant."""
    _do(session, delete(Finding).where(Finding.settled < before))
    _do(session, delete(Deletion).where(Deletion.copy_pk.is_(None), Deletion.done < before))


def _do(session: WriteSession, statement: Update | Delete) -> None:
    session.execute(statement.execution_options(synchronize_session=False))
