"""Backup rows. A deleted backup keeps its row, so its slug and history stay."""

from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import bindparam, select
from sqlalchemy.orm import undefer

from holdfast.catalog.database.page import Listing, Page, Slice, take
from holdfast.catalog.database.plain import Plain
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Addon, Backup, Copy
from holdfast.catalog.storage import copies
from holdfast.domain.backup import IMPORTED, BackupType, SourceType
from holdfast.domain.operation import Status
from holdfast.domain.provenance import Provenance
from holdfast.kit import ids


def get(session: ReadSession, pk: int) -> Backup:
    return session.get_one(Backup, pk)


@dataclass(frozen=True, kw_only=True)
class NewBackup:
    """A backup to add: what differs between requested, scheduled and adopted ones."""

    id: str
    name: str
    type: BackupType
    source: SourceType
    provenance: Provenance
    compression: str | None
    created: int
    operation: str | None = None
    uid: str = field(default_factory=ids.uid)


def new_row(addon: Addon, new: NewBackup) -> Backup:
    """The row of a backup that is scheduled and has no bytes yet."""
    return Backup(
        uid=new.uid,
        addon_pk=addon.pk,
        id=new.id,
        name=new.name,
        type=new.type,
        source=new.source,
        provenance=new.provenance,
        compression=new.compression,
        status=Status.SCHEDULED,
        operation=new.operation,
        size=0,
        version=addon.version,
        retained=False,
        created=new.created,
    )


def with_evidence(session: ReadSession, pk: int) -> Backup:
    """The row with its evidence loaded, for use outside the session."""
    whole = select(Backup).where(Backup.pk == pk).options(undefer(Backup.evidence))
    return session.scalars(whole).one()


def find(session: ReadSession, addon_pk: int, backup_id: str) -> Backup | None:
    return session.scalar(
        select(Backup).where(
            Backup.addon_pk == addon_pk, Backup.id == backup_id, Backup.deleted.is_(None)
        )
    )


def latest_good(session: ReadSession, addon_pk: int) -> Backup | None:
    """The newest completed backup of the addon's own data that can be read somewhere."""
    readable = select(Copy.pk).where(Copy.backup_pk == Backup.pk, copies.GOOD)
    good = select(Backup).where(
        Backup.addon_pk == addon_pk,
        Backup.status == Status.COMPLETED,
        Backup.deleted.is_(None),
        Backup.source.not_in(IMPORTED),
        readable.exists(),
    )
    return session.scalar(good.order_by(Backup.pk.desc()).limit(1))


def slug_taken(session: ReadSession, addon_pk: int, slug: str) -> bool:
    statement = select(Backup.pk).where(Backup.addon_pk == addon_pk, Backup.id == slug)
    return session.scalar(statement) is not None


def listed(session: ReadSession, addon_pk: int, page: Page) -> Slice[Backup]:
    """One page of an addon's backups, as plain rows."""
    return _LISTED.take(session, page, f"backups of {addon_pk}", addon_pk=addon_pk)


_PLAIN = Plain(Backup)
_LISTED = Listing(
    _PLAIN.rows.where(Backup.addon_pk == bindparam("addon_pk"), Backup.deleted.is_(None)),
    Backup.pk,
    _PLAIN.read,
    unfiltered=_PLAIN.rows,
)


def chosen(
    session: ReadSession,
    addon_pk: int,
    page: Page,
    kind: BackupType | None,
    statuses: Collection[Status],
) -> Slice[Backup]:
    """One page of an addon's backups of a type, or with one of these statuses."""
    rows = select(Backup).where(Backup.addon_pk == addon_pk, Backup.deleted.is_(None))
    if kind is not None:
        rows = rows.where(Backup.type == kind)
    if statuses:
        rows = rows.where(Backup.status.in_(statuses))
    scope = f"{kind or 'all'} backups of {addon_pk}: {' '.join(sorted(statuses))}"
    return take(session, rows, Backup.pk, page, scope)


def ids_of(session: ReadSession, pks: Collection[int]) -> dict[int, str]:
    rows = session.execute(select(Backup.pk, Backup.id).where(Backup.pk.in_(pks)))
    return {row.pk: row.id for row in rows}


def by_uid(session: ReadSession, uid: str) -> Backup | None:
    """The backup of that uid with its evidence loaded, for use outside the session."""
    whole = select(Backup).where(Backup.uid == uid, Backup.deleted.is_(None))
    return session.scalar(whole.options(undefer(Backup.evidence)))


def by_pk(session: ReadSession, pks: Collection[int]) -> dict[int, Backup]:
    """Deleted ones included."""
    return {row.pk: row for row in session.scalars(select(Backup).where(Backup.pk.in_(pks)))}
