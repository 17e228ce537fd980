"""What the rows say about the objects of one store; `place` None is the platform's own."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import undefer

from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import (
    Addon,
    Backup,
    Copy,
    Deletion,
    Finding,
    Operation,
    Project,
    Repository,
)
from holdfast.domain.artifact import backup_prefix
from holdfast.domain.operation import OVER, Status
from holdfast.domain.store_check import Known

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Shelved:
    """What is known of a backup with objects here; `copy` is its completed copy here."""

    known: Known
    copy: Copy | None
    sizes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Expected:
    """A completed copy that must be here whole: stored bytes by name, under `prefix`."""

    copy_pk: int
    prefix: str
    sizes: Mapping[str, int]
    lost: bool


def shelved(session: ReadSession, place: int | None, uids: Collection[str]) -> dict[str, Shelved]:
    """By uid; what has no row here is left out."""
    rows: Any = session.execute(
        select(Backup, Backup.evidence, Addon.id, Project.id, Operation)
        .join(Addon, Addon.pk == Backup.addon_pk)
        .join(Project, Project.pk == Addon.project_pk)
        .outerjoin(Operation, Operation.id == Backup.operation)
        .where(Backup.uid.in_(uids))
    ).all()
    kept = _copies(session, [row[0].pk for row in rows])
    going = _going(session, [copy.pk for each in kept.values() for copy in each])
    return {row[0].uid: _shelved(row, [*kept.get(row[0].pk, ())], going, place) for row in rows}


def _shelved(row: Any, kept: list[Copy], going: set[int], place: int | None) -> Shelved:
    backup, evidence, addon, project, operation = row
    here = next((copy for copy in kept if copy.destination_pk == place), None)
    present = here if here is not None and here.gone is None else None
    known = Known(
        folder=backup_prefix(project, addon, backup.uid),
        operation=backup.operation,
        status=operation.status if operation else None,
        ended=operation.ended if operation else None,
        attempts=operation.fence if operation else 0,
        here=here is not None,
        present=present is not None,
        going=present is not None and (backup.deleted is not None or present.pk in going),
        published=frozenset(c.objects for c in kept if c.gone is None and c.objects is not None),
    )
    good = present is not None and present.status == Status.COMPLETED
    return Shelved(known, present if good else None, sizes_of(evidence))


def _copies(session: ReadSession, backup_pks: Collection[int]) -> dict[int, list[Copy]]:
    found: dict[int, list[Copy]] = {}
    for copy in session.scalars(select(Copy).where(Copy.backup_pk.in_(backup_pks))):
        found.setdefault(copy.backup_pk, []).append(copy)
    return found


def _going(session: ReadSession, copy_pks: Collection[int]) -> set[int]:
    begun = select(Deletion.copy_pk).where(
        Deletion.copy_pk.in_(copy_pks), Deletion.done.is_(None), Deletion.begun.is_not(None)
    )
    return {pk for pk in session.scalars(begun) if pk is not None}


def sizes_of(evidence: Mapping[str, Any] | None) -> dict[str, int]:
    """Stored bytes by the name of each member, as they were proven."""
    members = (evidence or {}).get("members", [])
    return {member["key"]: member["stored_bytes"] for member in members}


def completed_at(session: ReadSession, place: int | None, after: int, limit: int) -> list[int]:
    """Keys of completed copies here past `after`, in order."""
    return list(
        session.scalars(
            select(Copy.pk)
            .where(
                Copy.destination_pk.is_not_distinct_from(place),
                Copy.gone.is_(None),
                Copy.pk > after,
                Copy.status == Status.COMPLETED,
            )
            .order_by(Copy.pk)
            .limit(limit)
        )
    )


def expected(session: ReadSession, copy_pks: Collection[int]) -> list[Expected]:
    """Those that still must be here: neither gone nor going."""
    rows: Any = session.execute(
        select(Copy, Backup.evidence)
        .join(Backup, Backup.pk == Copy.backup_pk)
        .where(Copy.pk.in_(copy_pks), Copy.gone.is_(None), Backup.deleted.is_(None))
        .order_by(Copy.pk)
    ).all()
    going = _going(session, copy_pks)
    return [
        Expected(copy.pk, copy.objects or "", sizes_of(evidence), _may_return(copy))
        for copy, evidence in rows
        if copy.pk not in going
    ]


def _may_return(copy: Copy) -> bool:
    """What is lost because its bytes are wrong is found again by reading it, not by listing."""
    return copy.lost is not None and copy.spoiled is None


def snapshots_in(session: ReadSession, row: Repository) -> list[Copy]:
    """Copies whose snapshot object must be in this repository: neither gone nor going."""
    wanted = (
        select(Copy)
        .join(Backup, Backup.pk == Copy.backup_pk)
        .where(*_kept_in(row), Copy.status == Status.COMPLETED, Backup.deleted.is_(None))
    )
    found = list(session.scalars(wanted.order_by(Copy.pk)))
    going = _going(session, [copy.pk for copy in found])
    return [copy for copy in found if copy.pk not in going]


def any_lost_in(session: ReadSession, row: Repository) -> bool:
    lost = select(Copy.pk).where(*_kept_in(row), Copy.lost.is_not(None))
    return session.scalar(lost.limit(1)) is not None


@dataclass(frozen=True, slots=True)
class Rooted:
    """A snapshot that must be in a repository: its copy, its backup with the evidence, its tree."""

    copy: Copy
    backup: Backup
    tree: str


def rooted_in(session: ReadSession, row: Repository) -> list[Rooted]:
    """Of every snapshot that is kept there, lost or not, as far as its tree is known."""
    held = {copy.backup_pk: copy for copy in snapshots_in(session, row)}
    rows = select(Backup).where(Backup.pk.in_(held)).options(undefer(Backup.evidence))
    found = [
        Rooted(held[backup.pk], backup, str((backup.evidence or {}).get("tree", "")))
        for backup in session.scalars(rows)
    ]
    return [each for each in found if each.tree]


def snapshot_keys(session: ReadSession, row: Repository) -> set[str]:
    """Snapshot objects in this repository that some copy accounts for, on its way out or not."""
    return {key for key in session.scalars(select(Copy.objects).where(*_kept_in(row))) if key}


def _kept_in(row: Repository) -> Sequence[Any]:
    return (
        Copy.addon_pk == row.addon_pk,
        Copy.destination_pk.is_not_distinct_from(row.destination_pk),
        Copy.gone.is_(None),
        Copy.objects.startswith(row.prefix, autoescape=True),
    )


def ended_snapshot(session: ReadSession, row: Repository, uid: str) -> tuple[Backup, str] | None:
    """The backup of this repository's addon whose work is over, and a proof of that."""
    found: Any = session.execute(
        select(Backup, Operation)
        .join(Operation, Operation.id == Backup.operation)
        .where(Backup.uid == uid, Backup.addon_pk == row.addon_pk, Operation.status.in_(OVER))
    ).first()
    if found is None:
        return None
    backup, work = found
    return backup, f"operation {work.id} is over since {work.ended} ({work.status})"


def stale(session: ReadSession, place: int | None, since: int) -> list[int]:
    """Open findings that an inventory begun at `since` did not see again. One seen long after that
    was seen by a clock that was ahead."""
    rows = select(Finding.pk).where(
        Finding.settled.is_(None),
        Finding.destination_pk.is_not_distinct_from(place),
        Finding.copy_pk.is_(None),
        or_(Finding.seen < since, Finding.seen > since + _DAY_MS),
    )
    gone = (
        select(Finding.pk)
        .join(Copy, Copy.pk == Finding.copy_pk)
        .where(
            Finding.settled.is_(None),
            Finding.destination_pk.is_not_distinct_from(place),
            Copy.gone.is_not(None),
        )
    )
    return [*session.scalars(rows), *session.scalars(gone)]
