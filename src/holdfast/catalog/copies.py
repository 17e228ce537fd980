"""Copies: where the bytes of a backup are, and until when."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from holdfast.catalog.page import Page, Slice, take
from holdfast.catalog.schema import Addon, Backup, Copy, Destination, Project
from holdfast.catalog.session import ReadSession
from holdfast.domain.access import Caller
from holdfast.domain.operation import Status
from holdfast.domain.retention import expiry


@dataclass(frozen=True)
class Wanted:
    """A copy to be made. `retention` in days, None: kept until somebody deletes it."""

    destination_pk: int | None
    retention: int | None
    additional: bool = False


def row(backup: Backup, wanted: Wanted) -> Copy:
    """Its time begins when the backup was asked for, whenever it is finished."""
    expires = expiry(backup.created, wanted.retention)
    return Copy(
        backup_pk=backup.pk,
        addon_pk=backup.addon_pk,
        destination_pk=wanted.destination_pk,
        additional=wanted.additional,
        retention=wanted.retention,
        status=Status.SCHEDULED,
        size=0,
        created=backup.created,
        expires=expires,
        review=expires,
    )


def first(session: ReadSession, backup_pk: int) -> Copy:
    """The copy that the backup's own status follows."""
    own = select(Copy).where(Copy.backup_pk == backup_pk, Copy.additional.is_(False))
    return session.scalars(own).one()


def of_backups(session: ReadSession, backup_pks: Collection[int]) -> dict[int, list[Copy]]:
    """By backup, the first copy first; gone ones too."""
    found: dict[int, list[Copy]] = {}
    wanted = select(Copy).where(Copy.backup_pk.in_(backup_pks))
    for copy in session.scalars(wanted.order_by(Copy.additional, Copy.pk)):
        found.setdefault(copy.backup_pk, []).append(copy)
    return found


def names_at(session: ReadSession, destination_pk: int, limit: int) -> Sequence[str]:
    """The ids of the newest backups kept at a destination."""
    kept = (
        select(Backup.id)
        .join(Copy, Copy.backup_pk == Backup.pk)
        .where(Copy.destination_pk == destination_pk, Copy.gone.is_(None))
    )
    return session.scalars(kept.order_by(Copy.pk.desc()).limit(limit)).all()


def at_destination(
    session: ReadSession, caller: Caller, destination: Destination, page: Page
) -> Slice[Copy]:
    """Those of projects that the caller sees."""
    kept = (
        select(Copy)
        .join(Backup, Backup.pk == Copy.backup_pk)
        .where(Copy.destination_pk == destination.pk, Copy.gone.is_(None), Backup.deleted.is_(None))
    )
    if caller.projects is not None:
        seen = select(Addon.pk).join(Project, Project.pk == Addon.project_pk)
        kept = kept.where(Copy.addon_pk.in_(seen.where(Project.id.in_(caller.projects))))
    return take(session, kept, Copy.pk, page, f"copies at {destination.pk}")
