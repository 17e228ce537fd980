"""Rows of adopted addons, which are deleted, and of adopted backups, which no operation made."""

from collections.abc import Collection

from sqlalchemy import select

from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Addon, Backup, Copy, Repository
from holdfast.domain.adoption import SurveyedAddon

MARK = "adopted"
"""Key in the spec of an addon that is known from its backups only."""


def addon(session: ReadSession, project_pk: int, surveyed: SurveyedAddon) -> Addon | None:
    """The addon of the surveyed uid; for dumps, which lack it, an adopted addon of that id."""
    if surveyed.uid:
        return session.scalar(select(Addon).where(Addon.uid == surveyed.uid))
    named = select(Addon).where(
        Addon.project_pk == project_pk,
        Addon.id == surveyed.addon,
        Addon.kind == surveyed.kind,
        Addon.deleted.is_not(None),
    )
    rows = session.scalars(named.order_by(Addon.pk))
    return next((row for row in rows if MARK in row.spec), None)


def addon_of(session: ReadSession, uid: str) -> Addon | None:
    """The adopted addon of that uid; None: it is not known, or was made here."""
    row = session.scalar(select(Addon).where(Addon.uid == uid))
    return row if row is not None and MARK in row.spec else None


def backup(session: ReadSession, uid: str) -> Backup | None:
    """The backup of that uid, deleted or not."""
    return session.scalar(select(Backup).where(Backup.uid == uid))


def is_at(session: ReadSession, backup: Backup, destination_pk: int | None) -> bool:
    statement = select(Copy.pk).where(
        Copy.backup_pk == backup.pk, Copy.destination_pk.is_not_distinct_from(destination_pk)
    )
    return backup.deleted is not None or session.scalar(statement.limit(1)) is not None


def known(session: ReadSession, uids: Collection[str], destination_pk: int | None) -> set[str]:
    """Those of the uids that have or had a copy at the destination."""
    rows = select(Backup.uid).join(Copy, Copy.backup_pk == Backup.pk)
    statement = rows.where(
        Backup.uid.in_(uids), Copy.destination_pk.is_not_distinct_from(destination_pk)
    )
    return set(session.scalars(statement))


def owner(session: ReadSession, prefix: str, destination_pk: int | None) -> Addon | None:
    """The addon of a repository at the destination; None: no row knows it."""
    return session.scalar(
        select(Addon)
        .join(Repository, Repository.addon_pk == Addon.pk)
        .where(
            Repository.prefix == prefix,
            Repository.destination_pk.is_not_distinct_from(destination_pk),
        )
    )
