"""Restores: start one, abort one."""

from dataclasses import replace

from holdfast.catalog import addons, backups, copies, operations, projects, workers
from holdfast.catalog.operations import Order
from holdfast.catalog.schema import Addon, Backup, Restore
from holdfast.catalog.session import ReadSession, lock_addon
from holdfast.contracts.files import Refillable
from holdfast.domain.backup import FILES, BackupType, restored_by
from holdfast.domain.errors import Conflict, Forbidden, Invalid, NotFound
from holdfast.domain.operation import PRIORITY, Kind, Status
from holdfast.kit import ids
from holdfast.usecases.context import Context


def find_backup(session: ReadSession, origin: list[Addon], backup_id: str) -> Backup:
    """The backup of that id among the addons that were ever called so, the living first."""
    for addon in origin:
        backup = backups.find(session, addon.pk, backup_id)
        if backup is not None:
            return backup
    raise NotFound(f"there is no backup {backup_id!r}")


def start(
    context: Context,
    target: Addon,
    backup: Backup,
    *,
    may_replace: bool = False,
    behind_the_server: bool = False,
    trusted: bool = False,
) -> Restore:
    """Queues the restore of `backup` into `target`; runs as soon as the addon is free, and
    `behind_the_server` after what was ordered for the server itself before. `may_replace`: where
    there is no room for both, the present data may go first. `trusted`: the caller vouches for
    what others could have shaped.
    """
    if trusted:
        _require_vouching(context, backup)
    if may_replace and backup.type != BackupType.SNAPSHOT:
        problem = "is for snapshots only: a dump is loaded beside what is there"
        raise Invalid(f"replace {problem}", {"replace": problem})
    lock_addon(context.session, backup.addon_pk)  # its removal must not begin meanwhile
    context.session.refresh(backup)
    if backup.deleted is not None:
        raise NotFound(f"there is no backup {backup.id!r}")
    _require_copy(context.session, backup)
    if backup.status != Status.COMPLETED:
        raise Conflict(f"the backup is {backup.status}; only completed ones can be restored")
    source = addons.get(context.session, backup.addon_pk)
    if source.kind != target.kind:
        raise Conflict(f"a backup of {source.kind} cannot be restored into {target.kind}")
    restore = Restore(
        id=ids.hex24(),
        backup_pk=backup.pk,
        addon_pk=target.pk,
        status=Status.SCHEDULED,
        operation="",
        created=context.now,
    )
    context.session.add(restore)
    context.session.flush()
    arguments = {
        "backup": backup.pk,
        "restore": restore.pk,
        "replace": may_replace,
        "trusted": trusted,
    }
    kind = _kind(context, target, backup)
    order = Order(target.pk, kind, _lane(context.session, target, kind), arguments)
    if behind_the_server:
        order = replace(order, priority=PRIORITY[Kind.PROVISION])
    queued = operations.create(context.session, context.house.queue, order, context.now)
    restore.operation = queued.id
    return restore


def _require_vouching(context: Context, backup: Backup) -> None:
    """Forbidden for a token of some projects; Invalid where it would change nothing."""
    if context.caller.projects is not None:
        raise Forbidden("the token is restricted to some projects; trusted needs one that is not")
    if backup.source in FILES:
        problem = "has no effect on an imported file: it is always loaded with the least power"
        raise Invalid(f"trusted {problem}", {"trusted": problem})


def _lane(session: ReadSession, target: Addon, kind: Kind) -> str:
    """To restore a snapshot in place takes the machine whose operator allows that."""
    if target.managed or kind is not Kind.REWIND:
        return addons.lane(target)
    project = projects.get(session, target.project_pk)
    node = workers.node_in_control(session, f"{project.id}/{target.id}")
    return node or addons.lane(target)


def _kind(context: Context, target: Addon, backup: Backup) -> Kind:
    kind = restored_by(BackupType(backup.type))
    stays_open = isinstance(context.house.engines(target.kind), Refillable)
    return Kind.REFILL if kind is Kind.REWIND and stays_open else kind


def _require_copy(session: ReadSession, backup: Backup) -> None:
    """A dump is read from its first copy, a snapshot from any that is there."""
    held = copies.of_backups(session, [backup.pk])[backup.pk]
    if backup.type != BackupType.SNAPSHOT:
        held = [copy for copy in held if not copy.additional]
    if all(copy.gone is not None or copies.being_removed(session, copy) for copy in held):
        raise Conflict("every copy that restores can read is gone")


def abort(context: Context, restore: Restore) -> None:
    if not operations.abort(
        context.session,
        context.house.queue,
        restore.operation,
        f"aborted by {context.caller.name}",
        context.now,
    ):
        raise Conflict(f"the restore is {restore.status} already")
