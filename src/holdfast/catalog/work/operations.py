"""Operation rows: which worker may do what. Each function is part of the caller's transaction.

The rules (see docs/adr/0003): status moves only along `domain.operation.MOVES`; at most one
operation per addon holds the slot; a writer must hold the current fence. A function that is fenced
off returns None or False and has changed nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from sqlalchemy import (
    CursorResult,
    Update,
    func,
    or_,
    select,
    update,
)

from holdfast.catalog.alarms import backup_events
from holdfast.catalog.database.session import (
    ReadSession,
    WriteSession,
    insert_all,
    lock_addon,
    lock_addons,
)
from holdfast.catalog.database.touched import touch_operation
from holdfast.catalog.schema import Backup, Copy, Document, Operation, Restore
from holdfast.contracts.queue import Dispatch, Queue
from holdfast.domain.operation import MOVES, OVER, PRIORITY, Kind, Status, may_move
from holdfast.kit import ids


@dataclass(frozen=True)
class Ending:
    """How an operation ends: the status, and the reason for people."""

    status: Status
    code: str | None = None
    reason: str | None = None
    litter: bool = False


@dataclass(frozen=True)
class Order:
    """An operation to create: its addon, kind, lane of the queue, and arguments."""

    addon_pk: int
    kind: Kind
    lane: str
    arguments: Document
    id: str = field(default_factory=ids.hex24)
    priority: int | None = None
    """None: the priority of its kind."""


def create(session: WriteSession, queue: Queue, order: Order, now: int) -> Operation:
    """Adds an operation, and dispatches it if the addon is free."""
    create_all(session, queue, [order], now)
    return session.scalars(select(Operation).where(Operation.id == order.id)).one()


def create_all(session: WriteSession, queue: Queue, orders: Collection[Order], now: int) -> None:
    """Adds many operations in a handful of statements, and dispatches those of free addons."""
    rows = [
        Operation(
            id=order.id,
            addon_pk=order.addon_pk,
            kind=order.kind,
            lane=order.lane,
            priority=order.priority or PRIORITY[order.kind],
            status=Status.SCHEDULED,
            slot=None,
            fence=0,
            attempt=0,
            arguments=order.arguments,
            record={},
            created=now,
        )
        for order in orders
    ]
    insert_all(session, rows)
    _promote_all(session, queue, {order.addon_pk for order in orders})


def promote(session: WriteSession, queue: Queue, addon_pk: int) -> None:
    """Dispatches the addon's next waiting operation if its slot is free."""
    _promote_all(session, queue, {addon_pk})


def _promote_all(session: WriteSession, queue: Queue, addon_pks: set[int]) -> None:
    lock_addons(session, addon_pks)
    busy = select(Operation.addon_pk).where(Operation.addon_pk.in_(addon_pks), Operation.slot == 1)
    free = addon_pks.difference(session.scalars(busy))
    position = func.row_number().over(
        partition_by=Operation.addon_pk, order_by=(Operation.priority, Operation.pk)
    )
    waiting = (
        select(Operation.pk, position.label("place"))
        .where(Operation.addon_pk.in_(free), Operation.status == Status.SCHEDULED)
        .subquery()
    )
    chosen = (
        select(Operation)
        .join(waiting, waiting.c.pk == Operation.pk)
        .where(waiting.c.place == 1)
        .order_by(Operation.priority, Operation.pk)
    )
    dispatch_all(session, queue, session.scalars(chosen).all() if free else ())


def dispatch_all(session: WriteSession, queue: Queue, operations: Sequence[Operation]) -> None:
    """Dispatches operations, each under a new fence and with its addon's slot."""
    for operation in operations:
        operation.slot = 1
        operation.fence += 1
        operation.worker = None
    session.flush()
    connection = session.connection()
    for operation in operations:
        dispatch = Dispatch(operation.id, operation.fence)
        queue.dispatch(connection, dispatch, operation.priority, operation.lane)


def begin(session: WriteSession, dispatch: Dispatch, worker: str, now: int) -> Operation | None:
    """Makes `worker` the holder; None: fenced off.

    The caller must check the status (`aborting`: clean up and end; ended: remove its leftovers),
    the verdict, and `attempt`, which counts the starts.
    """
    operation = _held(session, dispatch)
    if operation is None:
        return None
    if operation.status in OVER:
        operation.worker = worker
        return operation
    if operation.status == Status.SCHEDULED:
        operation.status = Status.IN_PROGRESS
        operation.started = now
        _mirror(session, operation.id, Status.IN_PROGRESS, None, None)
        backup_events.note(session, operation.id, Status.IN_PROGRESS, now)
    operation.attempt += 1
    operation.worker = worker
    session.flush()
    return operation


def holds(session: ReadSession, dispatch: Dispatch) -> bool:
    """Whether this dispatch may still change things."""
    current = select(Operation.pk).where(
        Operation.id == dispatch.op, Operation.fence == dispatch.fence, Operation.slot == 1
    )
    return session.scalar(current) is not None


def locked(session: WriteSession, op: str) -> Operation | None:
    """The operation's row, under the addon's lock. The lock always comes first, so that two changes
    never wait for each other."""
    addon_pk = session.scalar(select(Operation.addon_pk).where(Operation.id == op))
    if addon_pk is None:
        return None
    lock_addon(session, addon_pk)
    return session.scalar(
        select(Operation).where(Operation.id == op).execution_options(populate_existing=True)
    )


def _held(session: WriteSession, dispatch: Dispatch) -> Operation | None:
    operation = locked(session, dispatch.op)
    is_holder = operation is not None and operation.slot == 1 and operation.fence == dispatch.fence
    return operation if is_holder else None


def save(session: WriteSession, dispatch: Dispatch, step: str, record: Document) -> bool:
    """Saves the record of a finished step. False: fenced off."""
    return _changed(session, _fenced(dispatch).values(step=step, record=record))


def report(session: WriteSession, dispatch: Dispatch, progress: Document) -> bool:
    """Saves the progress. False: fenced off."""
    return _changed(session, _fenced(dispatch).values(progress=progress))


def _fenced(dispatch: Dispatch) -> Update:
    return update(Operation).where(
        Operation.id == dispatch.op, Operation.fence == dispatch.fence, Operation.slot == 1
    )


def _changed(session: WriteSession, statement: Update) -> bool:
    result = session.execute(statement.execution_options(synchronize_session=False))
    return isinstance(result, CursorResult) and result.rowcount == 1


def decide(session: WriteSession, dispatch: Dispatch, ending: Ending) -> bool:
    """Decides how it will end, before anything of it is removed. False: fenced off.

    A worker that takes over finds the verdict and does not go on with the work, so a removal,
    however late, cannot destroy what a successor completed.
    """
    operation = _held(session, dispatch)
    if operation is None:
        return False
    operation.verdict = operation.verdict or ending.status
    operation.error_code, operation.reason = ending.code, ending.reason
    session.flush()
    return True


def finish(
    session: WriteSession, queue: Queue, dispatch: Dispatch, ending: Ending, now: int
) -> Operation | None:
    """Ends the operation, frees the slot and dispatches the next one. None: fenced off.

    A failure that meets an abort request ends as aborted; completion wins over it.
    """
    operation = _held(session, dispatch)
    if operation is None:
        return None
    status = ending.status
    if operation.status == Status.ABORTING and status is not Status.COMPLETED:
        status = Status.ABORTED
    _end(session, operation, Ending(status, ending.code, ending.reason, ending.litter), now)
    promote(session, queue, operation.addon_pk)
    return operation


def _end(session: WriteSession, operation: Operation, ending: Ending, now: int) -> None:
    if not may_move(Status(operation.status), ending.status):
        raise ValueError(f"{operation.id}: {operation.status} may not become {ending.status}")
    operation.status = ending.status
    operation.error_code = ending.code
    operation.reason = ending.reason
    operation.litter = ending.litter
    operation.slot = operation.verdict = None
    operation.progress = None
    operation.ended = now
    _mirror(session, operation.id, ending.status, ending.reason, now)
    backup_events.note(session, operation.id, ending.status, now)
    touch_operation(session, operation.id)
    session.flush()


def _mirror(
    session: WriteSession, op: str, status: Status, reason: str | None, ended: int | None
) -> None:
    """Copies the operation's status to its backup or restore, in the same transaction.

    A backup's first copy follows as well. Additional copies that have not ended follow a failed
    operation, but not a completed one.
    """
    completed = ended if status in OVER else None
    for table in (Backup, Restore, Copy):
        session.execute(
            update(table)
            .where(table.operation == op)
            .values(status=status, reason=reason, completed=completed)
            .execution_options(synchronize_session=False)
        )
    first = Copy.additional.is_(False)
    follows = first if status is Status.COMPLETED else or_(first, Copy.status.not_in(OVER))
    backup = select(Backup.pk).where(Backup.operation == op).scalar_subquery()
    session.execute(
        update(Copy)
        .where(Copy.backup_pk == backup, follows)
        .values(status=status, completed=completed)
        .execution_options(synchronize_session=False)
    )


def abort(session: WriteSession, queue: Queue, op: str, reason: str, now: int) -> Status | None:
    """Requests the end. Returns the new status; None: it has ended already."""
    operation = locked(session, op)
    if operation is None or Status(operation.status) in OVER:
        return None
    if operation.status == Status.SCHEDULED:
        _end(session, operation, Ending(Status.ABORTED, "aborted", reason), now)
        promote(session, queue, operation.addon_pk)
        return Status.ABORTED
    if operation.status == Status.IN_PROGRESS:
        operation.status = Status.ABORTING
        operation.reason = reason
        _mirror(session, op, Status.ABORTING, reason, None)
    session.flush()
    return Status.ABORTING


def take_over(session: WriteSession, queue: Queue, dispatch: Dispatch) -> bool:
    """Dispatches a dead worker's operation anew. False: another worker did, or it has ended."""
    operation = _held(session, dispatch)
    if operation is None:
        return False
    dispatch_all(session, queue, [operation])
    return True


def hand_over(session: WriteSession, queue: Queue, dispatch: Dispatch) -> bool:
    """Dispatches a stopping worker's operation anew; its start does not count as an attempt."""
    operation = _held(session, dispatch)
    if operation is None:
        return False
    operation.attempt -= 1
    dispatch_all(session, queue, [operation])
    return True


def dispatched(session: ReadSession) -> list[Dispatch]:
    rows = session.execute(select(Operation.id, Operation.fence).where(Operation.slot == 1))
    return [Dispatch(op, fence) for op, fence in rows]


_BUSY = select(Operation.addon_pk).where(Operation.slot == 1)
_WAITING = (
    select(Operation.addon_pk)
    .where(Operation.status == Status.SCHEDULED, Operation.addon_pk.not_in(_BUSY))
    .distinct()
)


def waiting_addons(session: ReadSession) -> list[int]:
    """Addons with a waiting operation and a free slot."""
    return list(session.scalars(_WAITING))


def last_failure(session: ReadSession, addon_pk: int) -> str | None:
    """Why the addon's latest failed operation failed."""
    failed = select(Operation.reason).where(
        Operation.addon_pk == addon_pk, Operation.status == Status.FAILED
    )
    return session.scalar(failed.order_by(Operation.pk.desc()).limit(1))


def states(session: ReadSession, running: Collection[str]) -> dict[str, tuple[Status, int]]:
    """Status and fence of the named operations: how a worker learns of aborts and takeovers."""
    rows = session.execute(
        select(Operation.id, Operation.status, Operation.fence).where(Operation.id.in_(running))
    )
    return {op: (Status(status), fence) for op, status, fence in rows}


def get(session: ReadSession, op: str) -> Operation | None:
    return session.scalar(select(Operation).where(Operation.id == op))


def busy_with(session: ReadSession, addon_pks: Collection[int]) -> dict[int, str]:
    """The kind of the operation that runs on each addon."""
    rows = session.execute(
        select(Operation.addon_pk, Operation.kind).where(
            Operation.slot == 1,
            Operation.addon_pk.in_(addon_pks),
            Operation.status.in_((Status.IN_PROGRESS, Status.ABORTING)),
        )
    )
    return {row.addon_pk: row.kind for row in rows}


def is_busy(session: ReadSession, addon_pk: int) -> bool:
    """Whether an operation holds the addon's slot."""
    statement = select(Operation.pk).where(Operation.addon_pk == addon_pk, Operation.slot == 1)
    return session.scalar(statement.limit(1)) is not None


def open_of_addon(session: ReadSession, addon_pk: int) -> list[Operation]:
    going = [status for status in MOVES if status not in OVER]
    return list(
        session.scalars(
            select(Operation)
            .where(Operation.addon_pk == addon_pk, Operation.status.in_(going))
            .order_by(Operation.pk)
        )
    )


def restores_from(session: ReadSession, backup_pk: int) -> bool:
    """Whether this backup is being restored."""
    going = [status for status in MOVES if status not in OVER]
    reading = select(Restore.pk).where(Restore.backup_pk == backup_pk, Restore.status.in_(going))
    return session.scalar(reading.limit(1)) is not None


def progress_of(session: ReadSession, ops: Collection[str]) -> dict[str, Document]:
    """The last reported progress of each operation, with its last finished step."""
    rows = session.execute(
        select(Operation.id, Operation.step, Operation.progress).where(Operation.id.in_(ops))
    )
    reported: dict[str, Document] = {
        row.id: {"after": row.step, **(row.progress or {})} for row in rows
    }
    return {  # without nulls, which the official clients read as values
        op: {name: value for name, value in progress.items() if value is not None}
        for op, progress in reported.items()
    }
