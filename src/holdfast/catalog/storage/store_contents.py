"""Queries about the objects that one store should have; `destination_pk` None is the platform's."""

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
    Finding,
    Operation,
    Project,
    Repository,
)
from holdfast.catalog.storage.copies import being_removed, of_backups
from holdfast.domain.artifact import backup_prefix
from holdfast.domain.operation import OVER, Status
from holdfast.domain.retention.store_check import RecordedBackup
from holdfast.domain.units import DAY_MS


@dataclass(frozen=True, slots=True)
class BackupInStore:
    """The rows of a backup with objects in the store; `copy` is its completed copy there."""

    recorded: RecordedBackup
    copy: Copy | None
    sizes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Expected:
    """A completed copy that the store must have whole: stored bytes by name, under `prefix`."""

    copy_pk: int
    prefix: str
    sizes: Mapping[str, int]
    lost: bool


def backups_in_store(
    session: ReadSession, destination_pk: int | None, uids: Collection[str]
) -> dict[str, BackupInStore]:
    """Backups by uid; uids without a row are left out."""
    rows: Any = session.execute(
        select(Backup, Backup.evidence, Addon.id, Project.id, Operation)
        .join(Addon, Addon.pk == Backup.addon_pk)
        .join(Project, Project.pk == Addon.project_pk)
        .outerjoin(Operation, Operation.id == Backup.operation)
        .where(Backup.uid.in_(uids))
    ).all()
    copies = of_backups(session, [row[0].pk for row in rows])
    going = being_removed(session, [copy.pk for group in copies.values() for copy in group])
    by_uid: dict[str, BackupInStore] = {}
    for backup, evidence, addon, project, operation in rows:
        own_copies = copies.get(backup.pk, ())
        stored = next((copy for copy in own_copies if copy.destination_pk == destination_pk), None)
        present = stored if stored is not None and stored.gone is None else None
        published = (copy.objects for copy in own_copies if copy.gone is None)
        recorded = RecordedBackup(
            folder=backup_prefix(project, addon, backup.uid),
            operation=backup.operation,
            status=operation.status if operation else None,
            ended=operation.ended if operation else None,
            attempts=operation.fence if operation else 0,
            has_row=stored is not None,
            present=present is not None,
            going=present is not None and (backup.deleted is not None or present.pk in going),
            published=frozenset(prefix for prefix in published if prefix is not None),
        )
        is_good = present is not None and present.status == Status.COMPLETED
        sizes = sizes_of(evidence)
        by_uid[backup.uid] = BackupInStore(recorded, present if is_good else None, sizes)
    return by_uid


def sizes_of(evidence: Mapping[str, Any] | None) -> dict[str, int]:
    """Stored bytes of each member by name, as the evidence has them."""
    members = (evidence or {}).get("members", [])
    return {member["key"]: member["stored_bytes"] for member in members}


def completed_at(
    session: ReadSession, destination_pk: int | None, after: int, limit: int
) -> list[int]:
    """Keys of completed copies at the destination after `after`, in order."""
    return list(
        session.scalars(
            select(Copy.pk)
            .where(
                Copy.destination_pk.is_not_distinct_from(destination_pk),
                Copy.gone.is_(None),
                Copy.pk > after,
                Copy.status == Status.COMPLETED,
            )
            .order_by(Copy.pk)
            .limit(limit)
        )
    )


def expected(session: ReadSession, copy_pks: Collection[int]) -> list[Expected]:
    """The copies that the store must still have: neither gone nor being removed."""
    rows: Any = session.execute(
        select(Copy, Backup.evidence)
        .join(Backup, Backup.pk == Copy.backup_pk)
        .where(Copy.pk.in_(copy_pks), Copy.gone.is_(None), Backup.deleted.is_(None))
        .order_by(Copy.pk)
    ).all()
    going = being_removed(session, copy_pks)
    return [
        Expected(
            copy.pk,
            copy.objects or "",
            sizes_of(evidence),
            # A copy with wrong bytes is found again by reading it, not by listing.
            lost=copy.lost is not None and copy.spoiled is None,
        )
        for copy, evidence in rows
        if copy.pk not in going
    ]


def snapshots_in(session: ReadSession, row: Repository) -> list[Copy]:
    """Copies whose snapshot object must be in this repository: neither gone nor being removed."""
    statement = (
        select(Copy)
        .join(Backup, Backup.pk == Copy.backup_pk)
        .where(*_kept_in(row), Copy.status == Status.COMPLETED, Backup.deleted.is_(None))
    )
    copies = list(session.scalars(statement.order_by(Copy.pk)))
    going = being_removed(session, [copy.pk for copy in copies])
    return [copy for copy in copies if copy.pk not in going]


def any_lost_in(session: ReadSession, row: Repository) -> bool:
    lost = select(Copy.pk).where(*_kept_in(row), Copy.lost.is_not(None))
    return session.scalar(lost.limit(1)) is not None


@dataclass(frozen=True, slots=True)
class RequiredSnapshot:
    """A snapshot that must be in a repository: its copy, its backup with evidence, its tree."""

    copy: Copy
    backup: Backup
    tree: str


def required_snapshots(session: ReadSession, row: Repository) -> list[RequiredSnapshot]:
    """The snapshots that must be in a repository, lost or not, whose tree is known."""
    copies = {copy.backup_pk: copy for copy in snapshots_in(session, row)}
    rows = select(Backup).where(Backup.pk.in_(copies)).options(undefer(Backup.evidence))
    snapshots = [
        RequiredSnapshot(copies[backup.pk], backup, str((backup.evidence or {}).get("tree", "")))
        for backup in session.scalars(rows)
    ]
    return [snapshot for snapshot in snapshots if snapshot.tree]


def snapshot_keys(session: ReadSession, row: Repository) -> set[str]:
    """Keys of snapshot objects in this repository that a copy accounts for, even one that goes."""
    return {key for key in session.scalars(select(Copy.objects).where(*_kept_in(row))) if key}


def _kept_in(row: Repository) -> Sequence[Any]:
    return (
        Copy.addon_pk == row.addon_pk,
        Copy.destination_pk.is_not_distinct_from(row.destination_pk),
        Copy.gone.is_(None),
        Copy.objects.startswith(row.prefix, autoescape=True),
    )


def ended_snapshot(session: ReadSession, row: Repository, uid: str) -> tuple[Backup, str] | None:
    """The backup of that uid and addon if its operation has ended, and a proof of that."""
    result: Any = session.execute(
        select(Backup, Operation)
        .join(Operation, Operation.id == Backup.operation)
        .where(Backup.uid == uid, Backup.addon_pk == row.addon_pk, Operation.status.in_(OVER))
    ).first()
    if result is None:
        return None
    backup, operation = result
    return backup, f"operation {operation.id} is over since {operation.ended} ({operation.status})"


def stale(session: ReadSession, destination_pk: int | None, since: int) -> list[int]:
    """Open findings that a store check begun at `since` did not see again. One seen long after that
    was seen by a clock that was ahead."""
    rows = select(Finding.pk).where(
        Finding.settled.is_(None),
        Finding.destination_pk.is_not_distinct_from(destination_pk),
        Finding.copy_pk.is_(None),
        or_(Finding.seen < since, Finding.seen > since + DAY_MS),
    )
    removed = (
        select(Finding.pk)
        .join(Copy, Copy.pk == Finding.copy_pk)
        .where(
            Finding.settled.is_(None),
            Finding.destination_pk.is_not_distinct_from(destination_pk),
            Copy.gone.is_not(None),
        )
    )
    return [*session.scalars(rows), *session.scalars(removed)]
