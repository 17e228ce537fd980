"""Backups: create, abort, delete, retain."""

from holdfast.catalog import addons, backups, projects
from holdfast.catalog.database.session import lock_addon
from holdfast.catalog.schema import Addon, Backup, Copy, Deletion, Project
from holdfast.catalog.storage import copies, deletions, holdings
from holdfast.catalog.storage.copies import Wanted
from holdfast.catalog.storage.deletions import Doomed
from holdfast.catalog.work import operations
from holdfast.catalog.work.operations import Order
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
from holdfast.usecases.forms.forms import BackupForm
from holdfast.usecases.places import known_destination
from holdfast.usecases.retention import expiry
from holdfast.usecases.snapshots import snapshot_upkeep

_MORE = "additionalDestinations"


def create(context: Context, project: Project, addon: Addon, form: BackupForm) -> Backup:
    lock_addon(context.session, addon.pk)  # whoever fires its schedules looks for free names too
    backup = new_backup(context, addon, form, source_of(form.backup_type))
    arguments = {"backup": backup.pk, "project": project.id, "rate": form.max_rate}
    kind = taken_by(form.backup_type)
    order = Order(addon.pk, kind, addons.lane(addon), arguments, str(backup.operation))
    operations.create(context.session, context.services.queue, order, context.now)
    return backup


def new_backup(context: Context, addon: Addon, form: BackupForm, source: SourceType) -> Backup:
    """Its rows, without the work. Hold the addon's lock."""
    session = context.session
    dump = form.backup_type is BackupType.DUMP
    name = form.name or default_name(rfc3339(context.now))
    backup = Backup(
        uid=ids.uid(),
        addon_pk=addon.pk,
        id=free_slug(name, lambda slug: backups.slug_taken(session, addon.pk, slug)),
        name=name,
        type=form.backup_type,
        source=source,
        provenance=provenance_of(source),
        compression=(form.compression_type or Compression.GZ) if dump else None,
        status=Status.SCHEDULED,
        operation=ids.hex24(),
        size=0,
        version=addon.version,
        retained=False,
        created=context.now,
    )
    session.add(backup)
    session.flush()
    session.add_all(copies.row(backup, wanted) for wanted in wanted_copies(context, addon, form))
    return backup


def wanted_copies(context: Context, addon: Addon, form: BackupForm) -> list[Wanted]:
    """The first one at the platform store or the custom destination, then the additional ones.

    Additional ones are kept as long as the backup, unless they say otherwise.
    """
    chosen, first = form.custom_destination_id, None
    if chosen is not None:
        first = known_destination(context, addon, chosen, "customDestinationId")
    more: list[Wanted] = []
    for index, each in enumerate(form.additional_destinations):
        path = f"{_MORE}[{index}].destinationId"
        place = known_destination(context, addon, each.destination_id, path)
        if any(other.destination_pk == place for other in more):
            problem = "is named twice"
            raise Invalid(f"{path} {problem}", {path: problem})
        days = each.retention_time or form.retention_time
        more.append(Wanted(place, days, additional=True))
    return [Wanted(first, form.retention_time), *more]


def abort(context: Context, backup: Backup) -> None:
    if backup.operation is None or not operations.abort(
        context.session,
        context.services.queue,
        backup.operation,
        f"aborted by {context.caller.name}",
        context.now,
    ):
        raise Conflict(f"the backup is {backup.status} already")


def retry_copy(context: Context, backup: Backup, place: int) -> None:
    """An additional copy that failed is made again as soon as the addon is free."""
    session = context.session
    lock_addon(session, backup.addon_pk)
    held = copies.of_backups(session, [backup.pk])[backup.pk]
    copy = next((c for c in held if c.additional and c.destination_pk == place), None)
    if copy is None or copy.gone is not None or copies.being_removed(session, copy):
        raise NotFound(f"the backup {backup.id!r} has no additional copy there")
    if backup.type != BackupType.SNAPSHOT or copy.status not in (Status.FAILED, Status.ABORTED):
        raise Conflict(f"the copy is {copy.status}; only failed copies of snapshots are retried")
    if backup.status != Status.COMPLETED:
        raise Conflict(f"the backup is {backup.status}; there is nothing to copy")
    snapshot_upkeep.order_copy(session, context.services.queue, copy, context.now)


def repair(context: Context, backup: Backup) -> None:
    """Every lost copy is made again from one that is whole, as soon as the addon is free."""
    session = context.session
    lock_addon(session, backup.addon_pk)
    held = copies.of_backups(session, [backup.pk])[backup.pk]
    lost = [c for c in held if c.lost and not c.gone and not copies.being_removed(session, c)]
    if not lost:
        raise Conflict("no copy of this backup is lost; only lost copies are repaired")
    if not copies.readable(held):
        raise Conflict("no copy of this backup is whole, so there is nothing to repair it from")
    for copy in lost:
        snapshot_upkeep.order_repair(session, context.services.queue, copy, context.now)


def retain(context: Context, backup: Backup) -> None:
    """Kept for ever from now on; what was going to remove it is called off."""
    lock_addon(context.session, backup.addon_pk)
    backup.retained = True
    reason = f"retained by {context.caller.name}"
    for deletion in _waiting(context, backup):
        deletions.call_off(context.session, deletion, reason, context.now)


def _waiting(context: Context, backup: Backup) -> list[Deletion]:
    found = deletions.open_of(context.session, copies.pks_of(context.session, backup.pk))
    return [each for each in found.values() if each.begun is None]


def delete(context: Context, addon: Addon, backup: Backup, *, force: bool = False) -> None:
    """Hides the backup at once; the objects go when the store confirms it.

    The addon's last good backup goes only by force. Without force its removal still looks
    whether another one is really there, and is called off when none is.
    """
    session = context.session
    lock_addon(session, addon.pk)
    if Status(backup.status) not in OVER:
        raise Conflict(f"the backup is {backup.status}; abort it first")
    if operations.restores_from(session, backup.pk):
        raise Conflict("the backup is being restored; abort the restore first")
    if not force and is_last_good(holdings.of_addon(session, addon.pk).held, backup.pk):
        raise Conflict(
            f"{backup.id} is the last good backup of {addon.id}; deleting it needs force",
            {"force": "must be true to delete the last good backup of an addon"},
        )
    for deletion in _waiting(context, backup):
        deletions.call_off(session, deletion, "somebody deleted it by hand", context.now)
    backup.deleted = context.now
    for copy in copies.of_backups(session, [backup.pk])[backup.pk]:
        if copy.gone is None and not copies.being_removed(session, copy):
            _stop_making(context, copy)
            prefix = expiry.removed_with(session, backup, copy.objects)
            deletions.mark(session, _doomed(context, copy, prefix, force=force), context.now)


def _stop_making(context: Context, copy: Copy) -> None:
    """An additional copy may still be on its way when the backup itself is over."""
    if copy.operation is not None and Status(copy.status) not in OVER:
        why = f"the backup was deleted by {context.caller.name}"
        operations.abort(context.session, context.services.queue, copy.operation, why, context.now)


def _doomed(context: Context, copy: Copy, prefix: str, *, force: bool) -> Doomed:
    how = "by force" if force else "by hand"
    reason = f"deleted {how} by {context.caller.name}"
    final = force or not copies.is_good(copy)
    return Doomed(copy.pk, copy.destination_pk, prefix, reason, context.now, begun=final)


def delete_stored(context: Context, uid: str, *, force: bool = False) -> None:
    """By its uid: also when its addon or its project is gone."""
    session = context.session
    backup = backups.by_uid(session, uid)
    addon = addons.get(session, backup.addon_pk) if backup else None
    project = projects.get(session, addon.project_pk) if addon else None
    if backup is None or addon is None or project is None or not context.caller.sees(project.id):
        raise NotFound(f"there is no backup {uid!r}")
    delete(context, addon, backup, force=force)
