"""Backups: create, abort, delete, retain."""

from holdfast.catalog import backups, copies, deletions, operations
from holdfast.catalog.copies import Wanted
from holdfast.catalog.operations import Order
from holdfast.catalog.schema import Addon, Backup, Project
from holdfast.catalog.session import lock_addon
from holdfast.domain.artifact import backup_prefix
from holdfast.domain.backup import BackupType, Compression, default_name, source_of
from holdfast.domain.errors import Conflict, Invalid
from holdfast.domain.naming import free_slug
from holdfast.domain.operation import OVER, Kind, Status
from holdfast.kit import ids
from holdfast.kit.clock import rfc3339
from holdfast.usecases.addons import lane
from holdfast.usecases.context import Context
from holdfast.usecases.forms import BackupForm
from holdfast.usecases.places import known_destination

_MORE = "additionalDestinations"


def create(context: Context, project: Project, addon: Addon, form: BackupForm) -> Backup:
    session = context.session
    lock_addon(session, addon.pk)  # whoever fires its schedules looks for free names too
    dump = form.backup_type is BackupType.DUMP
    name = form.name or default_name(rfc3339(context.now))
    backup = Backup(
        uid=ids.uid(),
        addon_pk=addon.pk,
        id=free_slug(name, lambda slug: backups.slug_taken(session, addon.pk, slug)),
        name=name,
        type=form.backup_type,
        source=source_of(form.backup_type),
        compression=(form.compression_type or Compression.GZ) if dump else None,
        status=Status.SCHEDULED,
        size=0,
        version=addon.version,
        retained=False,
        created=context.now,
    )
    session.add(backup)
    session.flush()
    session.add_all(copies.row(backup, wanted) for wanted in wanted_copies(context, form))
    arguments = {"backup": backup.pk, "project": project.id}
    order = Order(addon.pk, Kind.BACKUP, lane(addon), arguments)
    backup.operation = operations.create(session, context.house.queue, order, context.now).id
    return backup


def wanted_copies(context: Context, form: BackupForm) -> list[Wanted]:
    """The first one at the platform store or the custom destination, then the additional ones.

    Additional ones are kept as long as the backup, unless they say otherwise.
    """
    chosen, first = form.custom_destination_id, None
    if chosen is not None:
        first = known_destination(context, chosen, "customDestinationId")
    more: list[Wanted] = []
    for index, each in enumerate(form.additional_destinations):
        path = f"{_MORE}[{index}].destinationId"
        place = known_destination(context, each.destination_id, path)
        if any(other.destination_pk == place for other in more):
            problem = "is named twice"
            raise Invalid(f"{path} {problem}", {path: problem})
        days = each.retention_time or form.retention_time
        more.append(Wanted(place, days, additional=True))
    return [Wanted(first, form.retention_time), *more]


def abort(context: Context, backup: Backup) -> None:
    if backup.operation is None or not operations.abort(
        context.session,
        context.house.queue,
        backup.operation,
        f"aborted by {context.caller.name}",
        context.now,
    ):
        raise Conflict(f"the backup is {backup.status} already")


def retain(context: Context, backup: Backup) -> None:  # noqa: ARG001 - all verbs look alike
    backup.retained = True


def delete(context: Context, project_id: str, addon: Addon, backup: Backup) -> None:
    """Marks the row; the objects go when the store confirms it."""
    if Status(backup.status) not in OVER:
        raise Conflict(f"the backup is {backup.status}; abort it first")
    if operations.restores_from(context.session, backup.pk):
        raise Conflict("the backup is being restored; abort the restore first")
    backup.deleted = context.now
    prefix = backup_prefix(project_id, addon.id, backup.uid)
    reason = f"backup {backup.id} was deleted by {context.caller.name}"
    for copy in copies.of_backups(context.session, [backup.pk])[backup.pk]:
        deletions.mark(context.session, copy, prefix, reason, context.now, context.now)
