"""Restores: start one, abort one, take one back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from holdfast.catalog import addons, backups, projects, restores
from holdfast.catalog.database.session import ReadSession, WriteSession, lock_addon
from holdfast.catalog.schema import Addon, Backup, Restore
from holdfast.catalog.storage import copies
from holdfast.catalog.work import operation_queries, operations, workers
from holdfast.catalog.work.operations import Order
from holdfast.contracts.engine import Undoable
from holdfast.contracts.files import RestorableWhileOpen
from holdfast.contracts.job_arguments import OldDataArguments, RecoverArguments, RestoreArguments
from holdfast.contracts.queue import Queue
from holdfast.domain.backup import FILES, BackupType, restored_by
from holdfast.domain.errors import Conflict, Forbidden, Invalid, NotFound
from holdfast.domain.operation import IN_PLACE, PRIORITY, Kind, Status
from holdfast.kit import ids
from holdfast.usecases.context import Context


@dataclass(frozen=True)
class Choices:
    """The caller's choices.

    `may_replace`: without room for both, the present data may be removed first. `trusted`: the
    caller vouches for content that others could have shaped. `accepted`: differences from the
    backup that the caller has read, word for word. `skips_failed`: objects without data that cannot
    be created are left out. `keep_old_hours`: how long the old data stays aside; None: only if the
    restore differs from the backup. `locale`: replaces locales that the target lacks.
    """

    may_replace: bool = False
    trusted: bool = False
    accepted: Sequence[str] = ()
    skips_failed: bool = False
    keep_old_hours: int | None = None
    locale: str | None = None


_NO_CHOICES = Choices()


def find_backup(session: ReadSession, origin: list[Addon], backup_id: str) -> Backup:
    """The backup of that id among addons of one id, the living one first."""
    for addon in origin:
        backup = backups.find(session, addon.pk, backup_id)
        if backup is not None:
            return backup
    raise NotFound(f"there is no backup {backup_id!r}")


def start(
    context: Context,
    target: Addon,
    backup: Backup,
    choices: Choices = _NO_CHOICES,
    *,
    behind_the_server: bool = False,
) -> Restore:
    """Orders the restore of `backup` into `target`. It runs as soon as the addon is free;
    `behind_the_server`: after the operations ordered before for the server itself."""
    _require_fitting(context, target, backup, choices)
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
    restore = _row(context, target.pk, backup.pk)
    arguments = RestoreArguments(
        backup=backup.pk,
        restore=restore.pk,
        replace=choices.may_replace,
        trusted=choices.trusted,
        accept=list(choices.accepted),
        skip_failed=choices.skips_failed,
        keep_old=choices.keep_old_hours,
        locale=choices.locale,
    ).document()
    kind = _kind(context, target, backup)
    order = Order(target.pk, kind, _lane(context.session, target, kind), arguments)
    if behind_the_server:
        order = replace(order, priority=PRIORITY[Kind.PROVISION])
    queued = operations.create(context.session, context.services.queue, order, context.now)
    restore.operation = queued.id
    return restore


@dataclass(frozen=True)
class Recovery:
    """What to recover to: an instant in ms, a position, a transaction, or a point's name; and on
    which archived line."""

    instant: int | None = None
    position: int | None = None
    transaction: str | None = None
    point: str | None = None
    inclusive: bool = True
    line_pk: int = 0

    def of_line(self, line_pk: int) -> "Recovery":
        return replace(self, line_pk=line_pk)


def recover(context: Context, target: Addon, backup: Backup, recovery: Recovery) -> Restore:
    """Orders the restore of `backup` and the replay of what followed. Conflict for a target of
    another type."""
    source = addons.get(context.session, backup.addon_pk)
    if source.kind != target.kind:
        raise Conflict(f"an archive of {source.kind} cannot be restored into {target.kind}")
    lock_addon(context.session, target.pk)
    context.session.refresh(backup)
    _require_copy(context.session, backup)
    restore = _row(context, target.pk, backup.pk)
    arguments = RecoverArguments(
        backup=backup.pk,
        restore=restore.pk,
        line=recovery.line_pk,
        instant=recovery.instant,
        position=recovery.position,
        transaction=recovery.transaction,
        point=recovery.point,
        inclusive=recovery.inclusive,
    ).document()
    order = Order(target.pk, Kind.RECOVER, _lane(context.session, target, Kind.RECOVER), arguments)
    restore.operation = operations.create(
        context.session, context.services.queue, order, context.now
    ).id
    return restore


def _row(context: Context, addon_pk: int, backup_pk: int, undoes: str | None = None) -> Restore:
    restore = Restore(
        id=ids.hex24(),
        backup_pk=backup_pk,
        addon_pk=addon_pk,
        status=Status.SCHEDULED,
        operation="",
        created=context.now,
        undoes=undoes,
    )
    context.session.add(restore)
    context.session.flush()
    return restore


def _require_fitting(context: Context, target: Addon, backup: Backup, choices: Choices) -> None:
    if choices.trusted:
        _require_vouching(context, backup)
    problems: dict[str, str] = {}
    if choices.may_replace and backup.type != BackupType.SNAPSHOT:
        problems["replace"] = "is for snapshots only: a dump is loaded beside what is there"
    elif choices.may_replace and choices.keep_old_hours:
        problems["keepOldHours"] = "contradicts replace, which lets the old data go first"
    if choices.skips_failed and backup.type == BackupType.SNAPSHOT:
        problems["skipFailedObjects"] = "is for dumps only: a snapshot is files, and has them all"
    if choices.locale and backup.type == BackupType.SNAPSHOT:
        problems["locale"] = "is for dumps only: indexes of a snapshot are sorted already"
    if choices.keep_old_hours:
        in_files = _kind(context, target, backup) is Kind.RESTORE_IN_PLACE
        if not in_files and not isinstance(context.services.engines(target.kind), Undoable):
            sentence = f"is not possible: restores of {target.kind} cannot be undone"
            problems["keepOldHours"] = sentence
    if problems:
        name, problem = next(iter(problems.items()))
        raise Invalid(f"{name} {problem}", problems)


def _require_vouching(context: Context, backup: Backup) -> None:
    """Forbidden for tokens restricted to projects; Invalid if trust would have no effect."""
    if context.caller.projects is not None:
        raise Forbidden("the token is restricted to some projects; trusted needs one that is not")
    if backup.source in FILES:
        problem = "has no effect on an imported file: it is always loaded with the least power"
        raise Invalid(f"trusted {problem}", {"trusted": problem})


def _lane(session: ReadSession, target: Addon, kind: Kind) -> str:
    """The addon's lane; restores in place of attached addons run on the machine that controls
    their server."""
    if target.managed or kind not in IN_PLACE:
        return addons.lane(target)
    project = projects.get(session, target.project_pk)
    node = workers.node_in_control(session, f"{project.id}/{target.id}")
    return node or addons.lane(target)


def _kind(context: Context, target: Addon, backup: Backup) -> Kind:
    kind = restored_by(BackupType(backup.type))
    if kind is not Kind.RESTORE_IN_PLACE:
        return kind
    stays_open = isinstance(context.services.engines(target.kind), RestorableWhileOpen)
    return Kind.RESTORE_OPEN_FILE if stays_open else kind


def _require_copy(session: ReadSession, backup: Backup) -> None:
    """Conflict unless a copy is there to read: of dumps the first one, of snapshots any."""
    rows = copies.of_backups(session, [backup.pk])[backup.pk]
    if backup.type != BackupType.SNAPSHOT:
        rows = [copy for copy in rows if not copy.additional]
    if all(copy.gone is not None or copies.is_being_removed(session, copy) for copy in rows):
        raise Conflict("every copy that restores can read is gone")


def undo(context: Context, restore: Restore) -> Restore:
    """Orders the undo of `restore`; the result is a restore of its own."""
    lock_addon(context.session, restore.addon_pk)
    context.session.refresh(restore)
    if restore.old_until is None:
        raise Conflict(
            "the old data of this restore is not set aside; --keep-old (keepOldHours) keeps it"
        )
    later = restores.later_in_place(context.session, restore)
    if later is not None:
        raise Conflict(f"the restore {later.id} came after it; undo that one first")
    if restores.open_undo(context.session, restore) is not None:
        raise Conflict("an undo of this restore is going on already")
    undoing = _row(context, restore.addon_pk, restore.backup_pk, restore.id)
    arguments = OldDataArguments(undone=restore.pk, restore=undoing.pk)
    order = _order_for_old_data(context.session, restore, Kind.UNDO, arguments)
    undoing.operation = operations.create(
        context.session, context.services.queue, order, context.now
    ).id
    return undoing


def order_drop(session: WriteSession, queue: Queue, restore: Restore, now: int) -> None:
    """Orders the removal of the old data that `restore` set aside, unless it is ordered already."""
    lock_addon(session, restore.addon_pk)
    session.refresh(restore)
    going = operation_queries.open_of_addon(session, restore.addon_pk)
    ordered = any(
        operation.kind == Kind.DROP_OLD
        and OldDataArguments.model_validate(operation.arguments).undone_pk == restore.pk
        for operation in going
    )
    if restore.old_until is None or restore.old_until > now or ordered:
        return
    arguments = OldDataArguments(undone=restore.pk)
    order = _order_for_old_data(session, restore, Kind.DROP_OLD, arguments)
    operations.create(session, queue, order, now)


def _order_for_old_data(
    session: ReadSession, restore: Restore, kind: Kind, arguments: OldDataArguments
) -> Order:
    """An order in the lane of the restore itself, whose machine has the old data."""
    operation = operations.get(session, restore.operation)
    if operation is None:
        raise Conflict("the operation of this restore is forgotten")
    return Order(restore.addon_pk, kind, operation.lane, arguments.document())


def abort(context: Context, restore: Restore) -> None:
    if not operations.abort(
        context.session,
        context.services.queue,
        restore.operation,
        f"aborted by {context.caller.name}",
        context.now,
    ):
        raise Conflict(f"the restore is {restore.status} already")
