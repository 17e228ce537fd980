"""Makes the API's views of backups, with the same fields in every answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from holdfast.catalog import addons, backups, destinations, projects, restores
from holdfast.catalog.database.plain import is_plain
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Addon, Backup, Copy, Deletion, Document, Project, Restore
from holdfast.catalog.storage import copies, deletions
from holdfast.catalog.work import operation_queries
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

_RUNNING = (Status.IN_PROGRESS, Status.ABORTING)
_MEMO_SIZE = 1000
"""Finished backups, with their rows and the text of about 1 kB each."""


class _Facts(NamedTuple):
    """The rows behind a view. `copies` has the first one first; `destination_ids` is by pk."""

    backup: Backup
    copies: Sequence[Copy]
    destination_ids: Mapping[int, str]
    restored: Restore | None


class _Page(NamedTuple):
    """The rows of a page of backups, from a few queries for all of them."""

    facts: Sequence[_Facts]
    leaving: Mapping[int, Deletion]
    progress: Mapping[str, Document]

    def view(self, facts: _Facts) -> BackupView:
        return _view(facts, self.leaving, self.progress.get(facts.backup.operation or ""))


def views(session: ReadSession, rows: Sequence[Backup]) -> list[BackupView]:
    page = _load(session, rows)
    return [page.view(facts) for facts in page.facts]


def texts(session: ReadSession, rows: Sequence[Backup]) -> list[str]:
    """Returns the views as JSON; that of finished backups with plain rows is cached."""
    page = _load(session, rows)
    texts: list[str] = []
    for facts in page.facts:
        backup = facts.backup
        # A view changes while the backup progresses, or waits for its deletion.
        changes = backup.status in _RUNNING or any(copy.marked for copy in facts.copies)
        is_cacheable = not changes and is_plain(backup)
        texts.append(_memo.of(backup.pk, facts) if is_cacheable else text_of(page.view(facts)))
    return texts


def _load(session: ReadSession, rows: Sequence[Backup]) -> _Page:
    copies_of = copies.shown(session, [backup.pk for backup in rows])
    all_copies = [copy for backup_copies in copies_of.values() for copy in backup_copies]
    destination_ids = destinations.ids_of(
        session, {c.destination_pk for c in all_copies if c.destination_pk}
    )
    marked = [copy.pk for copy in all_copies if copy.marked and not copy.gone]
    leaving = deletions.open_of(session, marked) if marked else {}
    restored = restores.latest(session, [backup.pk for backup in rows])
    running = [b.operation for b in rows if b.operation and b.status in _RUNNING]
    progress = operation_queries.progress_of(session, running) if running else {}
    facts = [_Facts(b, copies_of[b.pk], destination_ids, restored.get(b.pk)) for b in rows]
    return _Page(facts, leaving, progress)


def _view(facts: _Facts, leaving: Mapping[int, Deletion], progress: Document | None) -> BackupView:
    backup, backup_copies, destination_ids, restored = facts
    more = [
        AdditionalDestinationView(
            destination_id=destination_ids[copy.destination_pk or 0], retention_time=copy.retention
        )
        for copy in backup_copies
        if copy.additional
    ]
    config = BackupConfig(
        source=BackupSource(type=backup.source),
        size=str(backup.size),
        compression_type=backup.compression,
        additional_destinations=more or None,
        addon_version=backup.version,
    )
    return BackupView(
        id=backup.id,
        name=backup.name,
        uid=backup.uid,
        status=backup.status,
        created_at=rfc3339(backup.created),
        completed_at=rfc3339_if(backup.completed),
        config=config,
        custom_destination_id=destination_ids.get(backup_copies[0].destination_pk or 0),
        last_restore=None
        if restored is None
        else LastRestore(
            restore_timestamp=rfc3339(restored.created),
            status=restored.status,
            completed_at=rfc3339_if(restored.completed),
        ),
        backup_type=backup.type,
        retained=backup.retained,
        reason=backup.reason,
        warnings=backup.warnings or None,
        progress=progress,
        schedules=[Cause.model_validate(cause) for cause in backup.schedules or ()] or None,
        expires_at=rfc3339_if(_expires(backup, backup_copies)),
        copies=[
            _copy(backup, copy, destination_ids, leaving) for copy in backup_copies if not copy.gone
        ],
    )


_memo: Memo[_Facts, str] = Memo(lambda facts: text_of(_view(facts, {}, None)), _MEMO_SIZE)


def _expires(backup: Backup, backup_copies: Sequence[Copy]) -> int | None:
    """Returns when the last copy expires; None for a backup that never expires by itself."""
    ends = [copy.expires for copy in backup_copies if not copy.gone]
    if backup.retained or None in ends:
        return None
    return max((end for end in ends if end is not None), default=None)


def _copy(
    backup: Backup, copy: Copy, destination_ids: Mapping[int, str], leaving: Mapping[int, Deletion]
) -> CopyView:
    deletion = leaving.get(copy.pk)
    return CopyView(
        destination_id=destination_ids.get(copy.destination_pk or 0),
        status=copy.status,
        reason=copy.reason,
        next_try_at=rfc3339_if(copy.next_try) if copy.status == Status.FAILED else None,
        size=str(copy.size),
        expires_at=None if backup.retained else rfc3339_if(copy.expires),
        read_at=rfc3339_if(copy.read_at or None),
        lost=rfc3339_if(copy.lost),
        spoiled=copy.spoiled,
        deletion=None
        if deletion is None
        else PendingDeletion(
            at=rfc3339(deletion.due),
            reason=deletion.reason,
            begun_at=rfc3339_if(deletion.begun),
            last_error=deletion.last_error,
        ),
    )


@dataclass(frozen=True)
class _Origins:
    """The backups, addons and projects of a page's copies."""

    backups: Mapping[int, Backup]
    addons: Mapping[int, Addon]
    projects: Mapping[int, Project]

    @classmethod
    def of(cls, session: ReadSession, copies_here: Sequence[Copy]) -> "_Origins":
        backup_rows = backups.by_pk(session, [copy.backup_pk for copy in copies_here])
        owners = addons.by_pk(session, {copy.addon_pk for copy in copies_here})
        homes = projects.by_pk(session, {addon.project_pk for addon in owners.values()})
        return cls(backup_rows, owners, homes)


def stored(session: ReadSession, copies_here: Sequence[Copy]) -> list[StoredBackup]:
    """Views copies at a destination; deleted projects and addons are named as well."""
    origins = _Origins.of(session, copies_here)
    views: list[StoredBackup] = []
    for copy in copies_here:
        backup, addon = origins.backups[copy.backup_pk], origins.addons[copy.addon_pk]
        project = origins.projects[addon.project_pk]
        causes = [SchedulingView.model_validate(cause) for cause in backup.schedules or ()]
        view = StoredBackup(
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
            schedules=causes or None,
            expired_by=None if backup.retained else copy.expires,
            created_at=rfc3339(backup.created),
            completed_at=rfc3339_if(copy.completed),
        )
        views.append(view)
    return views
