"""Backups as the API shows them: one superset in every place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from holdfast.catalog import addons, backups, destinations, projects, restores
from holdfast.catalog.database.plain import is_plain
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Addon, Backup, Copy, Deletion, Document, Project, Restore
from holdfast.catalog.storage import copies, deletions
from holdfast.catalog.work import operations
from holdfast.domain.operation import Status
from holdfast.kit.cache import Memo
from holdfast.kit.clock import rfc3339, rfc3339_if
from holdfast.views.shapes.backups import (
    BackupConfig,
    BackupSource,
    BackupView,
    Cause,
    CopyView,
    LastRestore,
    PendingDeletion,
    Reference,
    StoredBackup,
    StoredConfig,
)
from holdfast.views.shapes.base import text_of
from holdfast.views.shapes.schedules import AdditionalDestinationView, SchedulingView

_MOVING = (Status.IN_PROGRESS, Status.ABORTING)
_KEPT = 1000
"""Backups that rest, with their rows and the text of about 1 kB each."""


class _Facts(NamedTuple):
    """What a view is made of. `copies` has the first one first, `places` those of a whole page."""

    backup: Backup
    copies: Sequence[Copy]
    places: Mapping[int, str]
    restored: Restore | None


class _Known(NamedTuple):
    """What is known of the rows of a page, by a few look-ups for all of them."""

    facts: Sequence[_Facts]
    leaving: Mapping[int, Deletion]
    progress: Mapping[str, Document]

    def view(self, facts: _Facts) -> BackupView:
        return _view(facts, self.leaving, self.progress.get(facts.backup.operation or ""))


def views(session: ReadSession, rows: Sequence[Backup]) -> list[BackupView]:
    known = _known(session, rows)
    return [known.view(facts) for facts in known.facts]


def texts(session: ReadSession, rows: Sequence[Backup]) -> list[str]:
    """The same as JSON, which is kept of those that rest if their rows are plain."""
    known = _known(session, rows)
    return [
        _resting.of(facts.backup.pk, facts) if _rests(facts) else text_of(known.view(facts))
        for facts in known.facts
    ]


def _known(session: ReadSession, rows: Sequence[Backup]) -> _Known:
    kept = copies.shown(session, [backup.pk for backup in rows])
    every = [copy for each in kept.values() for copy in each]
    places = destinations.ids_of(session, {c.destination_pk for c in every if c.destination_pk})
    leaving = _leaving(session, every)
    restored = restores.latest(session, [backup.pk for backup in rows])
    moving = [b.operation for b in rows if b.operation and b.status in _MOVING]
    progress = operations.progress_of(session, moving) if moving else {}
    facts = [_Facts(b, kept[b.pk], places, restored.get(b.pk)) for b in rows]
    return _Known(facts, leaving, progress)


def _rests(facts: _Facts) -> bool:
    """Nothing else is said about it: it neither progresses nor waits to be deleted."""
    backup = facts.backup
    going = backup.status in _MOVING or any(copy.marked for copy in facts.copies)
    return not going and is_plain(backup)


def _view(facts: _Facts, leaving: Mapping[int, Deletion], progress: Document | None) -> BackupView:
    backup, kept, places, restored = facts
    return BackupView(
        id=backup.id,
        name=backup.name,
        uid=backup.uid,
        status=backup.status,
        created_at=rfc3339(backup.created),
        completed_at=rfc3339_if(backup.completed),
        config=_config(backup, kept, places),
        custom_destination_id=places.get(kept[0].destination_pk or 0),
        last_restore=_last(restored),
        backup_type=backup.type,
        retained=backup.retained,
        reason=backup.reason,
        warnings=backup.warnings or None,
        progress=progress,
        schedules=[Cause.model_validate(cause) for cause in backup.schedules or ()] or None,
        expires_at=rfc3339_if(_expires(backup, kept)),
        copies=[_copy(backup, copy, places, leaving) for copy in kept if not copy.gone],
    )


_resting: Memo[_Facts, str] = Memo(lambda facts: text_of(_view(facts, {}, None)), _KEPT)


def _leaving(session: ReadSession, every: Sequence[Copy]) -> Mapping[int, Deletion]:
    marked = [copy.pk for copy in every if copy.marked and not copy.gone]
    return deletions.open_of(session, marked) if marked else {}


def _expires(backup: Backup, kept: Sequence[Copy]) -> int | None:
    """When the last of its copies does; None: never by itself."""
    ends = [copy.expires for copy in kept if not copy.gone]
    if backup.retained or None in ends:
        return None
    return max((end for end in ends if end is not None), default=None)


def _copy(
    backup: Backup, copy: Copy, places: Mapping[int, str], leaving: Mapping[int, Deletion]
) -> CopyView:
    return CopyView(
        destination_id=places.get(copy.destination_pk or 0),
        status=copy.status,
        reason=copy.reason,
        next_try_at=rfc3339_if(copy.next_try) if copy.status == Status.FAILED else None,
        size=str(copy.size),
        expires_at=None if backup.retained else rfc3339_if(copy.expires),
        read_at=rfc3339_if(copy.read_at or None),
        lost=rfc3339_if(copy.lost),
        spoiled=copy.spoiled,
        deletion=_pending(leaving.get(copy.pk)),
    )


def _pending(deletion: Deletion | None) -> PendingDeletion | None:
    if deletion is None:
        return None
    return PendingDeletion(
        at=rfc3339(deletion.due),
        reason=deletion.reason,
        begun_at=rfc3339_if(deletion.begun),
        last_error=deletion.last_error,
    )


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
        completed_at=rfc3339_if(restore.completed),
    )


@dataclass(frozen=True)
class _Origins:
    """What the copies of one page are of, looked up at once."""

    backups: Mapping[int, Backup]
    addons: Mapping[int, Addon]
    projects: Mapping[int, Project]

    @classmethod
    def of(cls, session: ReadSession, found: Sequence[Copy]) -> "_Origins":
        taken = backups.by_pk(session, [copy.backup_pk for copy in found])
        owners = addons.by_pk(session, {copy.addon_pk for copy in found})
        homes = projects.by_pk(session, {addon.project_pk for addon in owners.values()})
        return cls(taken, owners, homes)


def stored(session: ReadSession, found: Sequence[Copy]) -> list[StoredBackup]:
    """Copies at a destination; their projects and addons are named also when they are gone."""
    origins = _Origins.of(session, found)
    return [_stored(copy, origins) for copy in found]


def _stored(copy: Copy, origins: _Origins) -> StoredBackup:
    backup, addon = origins.backups[copy.backup_pk], origins.addons[copy.addon_pk]
    project = origins.projects[addon.project_pk]
    return StoredBackup(
        id=backup.id,
        name=backup.name,
        uid=backup.uid,
        status=copy.status,
        reason=copy.reason,
        project=Reference(id=project.id, name=project.name),
        addon=Reference(id=addon.id, name=addon.name),
        config=StoredConfig(
            addon_version=backup.version, addon_type=addon.kind, size=str(copy.size)
        ),
        schedules=[_scheduling(cause) for cause in backup.schedules or ()] or None,
        expired_by=None if backup.retained else copy.expires,
        created_at=rfc3339(backup.created),
        completed_at=rfc3339_if(copy.completed),
    )


def _scheduling(cause: Document) -> SchedulingView:
    return SchedulingView.model_validate(cause)
