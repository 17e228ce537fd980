"""Backups: create, abort, delete, retain."""

from holdfast.catalog import backups, deletions, destinations, operations
from holdfast.catalog.operations import Order
from holdfast.catalog.schema import Addon, Backup, Project
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


def create(context: Context, project: Project, addon: Addon, form: BackupForm) -> Backup:
    session = context.session
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
        destination_pk=_destination(context, form.custom_destination_id),
        additional=_additional(context, form),
        status=Status.SCHEDULED,
        size=0,
        version=addon.version,
        retained=False,
        created=context.now,
    )
    session.add(backup)
    session.flush()
    arguments = {"backup": backup.pk, "project": project.id}
    order = Order(addon.pk, Kind.BACKUP, lane(addon), arguments)
    backup.operation = operations.create(session, context.house.queue, order, context.now).id
    return backup


def _destination(context: Context, wanted: str | None) -> int | None:
    if wanted is None:
        return None
    return _known(context, wanted, "customDestinationId")


def _known(context: Context, wanted: str, path: str) -> int:
    found = destinations.find(context.session, wanted)
    if found is None or found.id != wanted:
        problem = f"there is no backup destination {wanted!r}"
        raise Invalid(problem, {path: problem})
    return found.pk


def _additional(context: Context, form: BackupForm) -> dict[str, object] | None:
    for index, wanted in enumerate(form.additional_destinations):
        _known(context, wanted.destination_id, f"additionalDestinations[{index}].destinationId")
    listed = [
        wanted.model_dump(by_alias=True, exclude_none=True)
        for wanted in form.additional_destinations
    ]
    return {"destinations": listed} if listed else None


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
    deletions.mark(
        context.session,
        backup.destination_pk,
        backup_prefix(project_id, addon.id, backup.uid),
        f"backup {backup.id} was deleted by {context.caller.name}",
        context.now,
    )
