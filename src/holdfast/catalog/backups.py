"""Backup rows. A deleted backup keeps its row, so its slug and history stay."""

from sqlalchemy import select

from holdfast.catalog.schema import Backup
from holdfast.catalog.session import ReadSession


def get(session: ReadSession, pk: int) -> Backup:
    return session.get_one(Backup, pk)


def find(session: ReadSession, addon_pk: int, backup_id: str) -> Backup | None:
    return session.scalar(
        select(Backup).where(
            Backup.addon_pk == addon_pk, Backup.id == backup_id, Backup.deleted.is_(None)
        )
    )


def slug_taken(session: ReadSession, addon_pk: int, slug: str) -> bool:
    taken = select(Backup.pk).where(Backup.addon_pk == addon_pk, Backup.id == slug)
    return session.scalar(taken) is not None


def of_destination(session: ReadSession, destination_pk: int, limit: int) -> list[Backup]:
    """The newest backups kept at a destination."""
    kept = select(Backup).where(Backup.destination_pk == destination_pk, Backup.deleted.is_(None))
    return list(session.scalars(kept.order_by(Backup.pk.desc()).limit(limit)))
