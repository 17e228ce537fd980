"""Rows of what was adopted: addons that are gone, and backups that no operation of ours made."""

from collections.abc import Collection

from sqlalchemy import select

from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Addon, Backup, Copy, Repository
from holdfast.domain.adoption import Shelf

MARK = "adopted"
"""In the spec of an addon that is known from its backups only."""


def addon(session: ReadSession, project_pk: int, shelf: Shelf) -> Addon | None:
    """The one of its uid, or for dumps, which do not say it, an adopted one of that name."""
    if shelf.uid:
        return session.scalar(select(Addon).where(Addon.uid == shelf.uid))
    named = select(Addon).where(
        Addon.project_pk == project_pk,
        Addon.id == shelf.addon,
        Addon.kind == shelf.kind,
        Addon.deleted.is_not(None),
    )
    rows = session.scalars(named.order_by(Addon.pk))
    return next((each for each in rows if MARK in each.spec), None)


def backup(session: ReadSession, uid: str) -> Backup | None:
    """Deleted ones too."""
    return session.scalar(select(Backup).where(Backup.uid == uid))


def is_at(session: ReadSession, known: Backup, place: int | None) -> bool:
    here = select(Copy.pk).where(
        Copy.backup_pk == known.pk, Copy.destination_pk.is_not_distinct_from(place)
    )
    return known.deleted is not None or session.scalar(here.limit(1)) is not None


def known(session: ReadSession, uids: Collection[str], place: int | None) -> set[str]:
    """Those that have a copy here, or had one."""
    rows = select(Backup.uid).join(Copy, Copy.backup_pk == Backup.pk)
    here = rows.where(Backup.uid.in_(uids), Copy.destination_pk.is_not_distinct_from(place))
    return set(session.scalars(here))


def owner(session: ReadSession, prefix: str, place: int | None) -> Addon | None:
    """Whose repository this is here; None: no row knows it."""
    return session.scalar(
        select(Addon)
        .join(Repository, Repository.addon_pk == Addon.pk)
        .where(Repository.prefix == prefix, Repository.destination_pk.is_not_distinct_from(place))
    )
