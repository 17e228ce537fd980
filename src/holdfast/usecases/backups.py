"""Backups: create, abort, delete, retain."""

from holdfast.catalog import addons, backups, projects
from holdfast.catalog.database.session import lock_addon
from holdfast.catalog.schema import Addon, Backup, Deletion, Project
from holdfast.catalog.storage import copies, deletions, holdings
from holdfast.catalog.storage.copies import CopyRequest
from holdfast.catalog.storage.deletions import Removal
from holdfast.catalog.work import operation_queries, operations
from holdfast.catalog.work.operations import Order
from holdfast.contracts.job_arguments import BackupArguments
from holdfast.domain.backup import (
    BackupType,
    Compression,
    SourceType,
    default_name,
    source_of,
    taken_by,
)
from holdfast.domain.errors import Conflict, Invalid, NotFound
from holdfast.domain.naming import free_slug
from holdfast.domain.operation import OVER, Status
from holdfast.domain.provenance import provenance_of
from holdfast.domain.retention.rules import is_last_good
from holdfast.kit import ids
from holdfast.kit.clock import rfc3339
from holdfast.usecases.context import Context
from holdfast.usecases.destinations import known_destination
from holdfast.usecases.forms.forms import BackupForm
from holdfast.usecases.retention import expiry
from holdfast.usecases.snapshots import snapshot_upkeep


def create(context: Context, project: Project, addon: Addon, form: BackupForm) -> Backup:
    lock_addon(context.session, addon.pk)  # firing its schedules looks for free names too
    backup = new_backup(context, addon, form, source_of(form.backup_type))
    arguments = BackupArguments(
        backup=backup.pk, project=project.id, rate=form.max_rate, drill=form.drill
    )
    kind = taken_by(form.backup_type)
    order = Order(addon.pk, kind, addons.lane(addon), arguments.document(), str(backup.operation))
    operations.create(context.session, context.services.queue, order, context.now)
    return backup


def new_backup(context: Context, addon: Addon, form: BackupForm, source: SourceType) -> Backup:
    """Adds the rows of a backup and its copies, without an operation. Hold the addon's lock."""
    session = context.session
    dump = form.backup_type is BackupType.DUMP
    name = form.name or default_name(rfc3339(context.now))
    new = backups.NewBackup(
        id=free_slug(name, lambda slug: backups.slug_taken(session, addon.pk, slug)),
        name=name,
        type=form.backup_type,
        source=source,
        provenance=provenance_of(source),
        compression=(form.compression_type or Compression.GZ) if dump else None,
        operation=ids.hex24(),
        created=context.now,
    )
    backup = backups.new_row(addon, new)
    session.add(backup)
    session.flush()
    session.add_all(copies.row(backup, request) for request in copy_requests(context, addon, form))
    return backup


def copy_requests(context: Context, addon: Addon, form: BackupForm) -> list[CopyRequest]:
    """The first copy, at the platform store or the custom destination, then the additional ones.

    Additional copies are kept as long as the first one unless the form says otherwise.
    """
    chosen, first = form.custom_destination_id, None
    if chosen is not None:
        first = known_destination(context, addon, chosen, "customDestinationId")
    more: list[CopyRequest] = []
    for index, additional in enumerate(form.additional_destinations):
        path = f"additionalDestinations[{index}].destinationId"
        destination_pk = known_destination(context, addon, additional.destination_id, path)
        if any(other.destination_pk == destination_pk for other in more):
            problem = "is named twice"
            raise Invalid(f"{path} {problem}", {path: problem})
        days = additional.retention_time or form.retention_time
        more.append(CopyRequest(destination_pk, days, additional=True))
    return [CopyRequest(first, form.retention_time), *more]


def abort(context: Context, backup: Backup) -> None:
    if backup.operation is None or not operations.abort(
        context.session,
        context.services.queue,
        backup.operation,
        f"aborted by {context.caller.name}",
        context.now,
    ):
        raise Conflict(f"the backup is {backup.status} already")


def retry_copy(context: Context, backup: Backup, destination_pk: int) -> None:
    """Orders a failed additional copy again; it is made as soon as the addon is free."""
    session = context.session
    lock_addon(session, backup.addon_pk)
    rows = copies.of_backups(session, [backup.pk])[backup.pk]
    copy = next((c for c in rows if c.additional and c.destination_pk == destination_pk), None)
    if copy is None or copy.gone is not None or copies.is_being_removed(session, copy):
        raise NotFound(f"the backup {backup.id!r} has no additional copy there")
    if backup.type != BackupType.SNAPSHOT or copy.status not in (Status.FAILED, Status.ABORTED):
        raise Conflict(f"the copy is {copy.status}; only failed copies of snapshots are retried")
    if backup.status != Status.COMPLETED:
        raise Conflict(f"the backup is {backup.status}; there is nothing to copy")
    snapshot_upkeep.order_copy(session, context.services.queue, copy, context.now)


def repair(context: Context, backup: Backup) -> None:
    """Orders every lost copy to be made again from a whole one, as soon as the addon is free."""
    session = context.session
    lock_addon(session, backup.addon_pk)
    rows = copies.of_backups(session, [backup.pk])[backup.pk]
    lost = [c for c in rows if c.lost and not c.gone and not copies.is_being_removed(session, c)]
    if not lost:
        raise Conflict("no copy of this backup is lost; only lost copies are repaired")
    if not copies.readable(rows):
        raise Conflict("no copy of this backup is whole, so there is nothing to repair it from")
    for copy in lost:
        snapshot_upkeep.order_repair(session, context.services.queue, copy, context.now)


def retain(context: Context, backup: Backup) -> None:
    """Keeps the backup for ever: its waiting deletions are called off."""
    lock_addon(context.session, backup.addon_pk)
    backup.retained = True
    reason = f"retained by {context.caller.name}"
    for deletion in _waiting(context, backup):
        deletions.call_off(context.session, deletion, reason, context.now)


def _waiting(context: Context, backup: Backup) -> list[Deletion]:
    open_deletions = deletions.open_of(context.session, copies.pks_of(context.session, backup.pk))
    return [deletion for deletion in open_deletions.values() if deletion.begun is None]


def delete(context: Context, addon: Addon, backup: Backup, *, force: bool = False) -> None:
    """Hides the backup at once and marks its objects for deletion.

    The addon's last good backup needs force. Without force the deletion still proves that another
    good backup is really there, and is called off if none is.
    """
    session = context.session
    lock_addon(session, addon.pk)
    if Status(backup.status) not in OVER:
        raise Conflict(f"the backup is {backup.status}; abort it first")
    if operation_queries.restores_from(session, backup.pk):
        raise Conflict("the backup is being restored; abort the restore first")
    all_copies = holdings.of_addon(session, addon.pk)
    if not force and is_last_good(all_copies.held, backup.pk):
        raise Conflict(
            f"{backup.id} is the last good backup of {addon.id}; deleting it needs force",
            {"force": "must be true to delete the last good backup of an addon"},
        )
    if not force and backup.pk in all_copies.bases(context.now):
        raise Conflict(
            f"the instants that {addon.id} can be recovered to begin with {backup.id}; deleting it"
            " needs force",
            {"force": "must be true to delete a backup that a window begins with"},
        )
    for deletion in _waiting(context, backup):
        deletions.call_off(session, deletion, "it was deleted by hand", context.now)
    backup.deleted = context.now
    for copy in copies.of_backups(session, [backup.pk])[backup.pk]:
        if copy.gone is not None or copies.is_being_removed(session, copy):
            continue
        if copy.operation is not None and Status(copy.status) not in OVER:
            # An additional copy may still be in progress when the backup itself is over.
            why = f"the backup was deleted by {context.caller.name}"
            operations.abort(session, context.services.queue, copy.operation, why, context.now)
        manner = "by force" if force else "by hand"
        removal = Removal(
            copy.pk,
            copy.destination_pk,
            expiry.removed_with(session, backup, copy.objects),
            f"deleted {manner} by {context.caller.name}",
            context.now,
            begun=force or not copies.is_good(copy),
        )
        deletions.mark(session, removal, context.now)


def delete_stored(context: Context, uid: str, *, force: bool = False) -> None:
    """Deletes a backup by its uid, even if its addon or project is deleted."""
    session = context.session
    backup = backups.by_uid(session, uid)
    addon = addons.get(session, backup.addon_pk) if backup else None
    project = projects.get(session, addon.project_pk) if addon else None
    if backup is None or addon is None or project is None or not context.caller.sees(project.id):
        raise NotFound(f"there is no backup {uid!r}")
    delete(context, addon, backup, force=force)
