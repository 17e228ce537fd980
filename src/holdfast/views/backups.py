"""Backups as the API shows them: one superset in every place."""

from collections.abc import Sequence

from holdfast.catalog import addons, destinations, operations, projects, restores
from holdfast.catalog.schema import Backup, Restore
from holdfast.catalog.session import ReadSession
from holdfast.domain.operation import Status
from holdfast.kit.clock import rfc3339
from holdfast.views.backup_shapes import (
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
    """Three look-ups for the whole page, not per row."""
    places = destinations.ids_of(session, {b.destination_pk for b in rows if b.destination_pk})
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
            config=_config(backup),
            custom_destination_id=places.get(backup.destination_pk or 0),
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


def _config(backup: Backup) -> BackupConfig:
    return BackupConfig(
        source=BackupSource(type=backup.source),
        size=str(backup.size),
        compression_type=backup.compression,
        additional_destinations=(backup.additional or {}).get("destinations"),
        addon_version=backup.version,
    )


def _last(restore: Restore | None) -> LastRestore | None:
    if restore is None:
        return None
    return LastRestore(
        restore_timestamp=rfc3339(restore.created),
        status=restore.status,
        completed_at=_instant(restore.completed),
    )


def stored(session: ReadSession, backup: Backup) -> StoredBackup:
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
