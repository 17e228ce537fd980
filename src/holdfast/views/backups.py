"""Backups as the API shows them: one superset in every place."""

from collections.abc import Mapping, Sequence

from holdfast.catalog import addons, backups, copies, destinations, operations, projects, restores
from holdfast.catalog.schema import Backup, Copy, Restore
from holdfast.catalog.session import ReadSession
from holdfast.domain.operation import Status
from holdfast.kit.clock import rfc3339
from holdfast.views.backup_shapes import (
    AdditionalDestinationView,
    BackupConfig,
    BackupSource,
    BackupView,
    LastRestore,
    Reference,
    StoredBackup,
    StoredConfig,
)

_MOVING = (Status.IN_PROGRESS, Status.ABORTING)


def views(session: ReadSession, rows: Sequence[Backup]) -> list[BackupView]:
    """A few look-ups for the whole page, not per row."""
    kept = copies.of_backups(session, [backup.pk for backup in rows])
    places = destinations.ids_of(
        session, {c.destination_pk for each in kept.values() for c in each if c.destination_pk}
    )
    restored = restores.latest(session, [backup.pk for backup in rows])
    moving = [b.operation for b in rows if b.operation and b.status in _MOVING]
    progress = operations.progress_of(session, moving) if moving else {}
    return [
        BackupView(
            id=backup.id,
            name=backup.name,
            uid=backup.uid,
            status=backup.status,
            created_at=rfc3339(backup.created),
            completed_at=_instant(backup.completed),
            config=_config(backup, kept[backup.pk], places),
            custom_destination_id=places.get(kept[backup.pk][0].destination_pk or 0),
            last_restore=_last(restored.get(backup.pk)),
            backup_type=backup.type,
            retained=backup.retained,
            reason=backup.reason,
            progress=progress.get(backup.operation or ""),
        )
        for backup in rows
    ]


def _instant(at: int | None) -> str | None:
    return rfc3339(at) if at is not None else None


def _config(backup: Backup, kept: Sequence[Copy], places: Mapping[int, str]) -> BackupConfig:
    more = [_additional(copy, places) for copy in kept if copy.additional]
    return BackupConfig(
        source=BackupSource(type=backup.source),
        size=str(backup.size),
        compression_type=backup.compression,
        additional_destinations=more or None,
        addon_version=backup.version,
    )


def _additional(copy: Copy, places: Mapping[int, str]) -> AdditionalDestinationView:
    return AdditionalDestinationView(
        destination_id=places[copy.destination_pk or 0], retention_time=copy.retention
    )


def _last(restore: Restore | None) -> LastRestore | None:
    if restore is None:
        return None
    return LastRestore(
        restore_timestamp=rfc3339(restore.created),
        status=restore.status,
        completed_at=_instant(restore.completed),
    )


def stored(session: ReadSession, copy: Copy) -> StoredBackup:
    backup = backups.get(session, copy.backup_pk)
    addon = addons.get(session, backup.addon_pk)
    project = projects.get(session, addon.project_pk)
    return StoredBackup(
        id=backup.id,
        name=backup.name,
        status=backup.status,
        project=Reference(id=project.id, name=project.name) if not project.deleted else None,
        addon=Reference(id=addon.id, name=addon.name) if not addon.deleted else None,
        config=StoredConfig(
            addon_version=backup.version, addon_type=addon.kind, size=str(backup.size)
        ),
        created_at=rfc3339(backup.created),
        completed_at=_instant(backup.completed),
    )
