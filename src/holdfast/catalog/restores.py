"""Restore rows."""

from collections.abc import Collection

from sqlalchemy import func, select

from holdfast.catalog.schema import Restore
from holdfast.catalog.session import ReadSession


def get(session: ReadSession, pk: int) -> Restore:
    return session.get_one(Restore, pk)


def find(session: ReadSession, restore_id: str) -> Restore | None:
    return session.scalar(select(Restore).where(Restore.id == restore_id))


def latest(session: ReadSession, backup_pks: Collection[int]) -> dict[int, Restore]:
    """Backup to its most recent restore."""
    newest = (
        select(func.max(Restore.pk))
        .where(Restore.backup_pk.in_(backup_pks))
        .group_by(Restore.backup_pk)
    )
    found = session.scalars(select(Restore).where(Restore.pk.in_(newest)))
    return {restore.backup_pk: restore for restore in found}
