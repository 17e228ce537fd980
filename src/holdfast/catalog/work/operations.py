"""Operation rows: which worker may do what. Each function is part of the caller's transaction.

The rules (see docs/adr/0003): status moves only along `domain.operation.MOVES`; at most one
operation per addon holds the slot, but for those of kinds that work beside it; a writer must hold
the current fence. A function that is fenced off returns None or False and has changed nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from sqlalchemy import (
    CursorResult,
    Update,
    case,
    func,
    literal_column,
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
from holdfast.catalog.schema import Backup, Copy, Document, Drill, Operation, Restore
from holdfast.contracts.queue import Dispatch, Queue
from holdfast.domain.operation import (
    ALONE_SLOT,
    BESIDE,
    BESIDE_SLOT,
    OVER,
    PRIORITY,
    Kind,
    Status,
    may_begin,
    may_move,
)
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
    """Dispatches the addon's next waiting operations whose slots are free."""
    _promote_all(session, queue, {addon_pk})


def _promote_all(session: WriteSession, queue: Queue, addon_pks: set[int]) -> None:
    lock_addons(session, addon_pks)
    running = kinds_running(session, addon_pks)
    position = func.row_number().over(
        partition_by=(Operation.addon_pk, _QUEUE), order_by=(Operation.priority, Operation.pk)
    )
    waiting = (
        select(Operation.pk, position.label("place"))
        .where(Operation.addon_pk.in_(addon_pks), Operation.status == Status.SCHEDULED)
        .subquery()
    )
    first = (
        select(Operation)
        .join(waiting, waiting.c.pk == Operation.pk)
        .where(waiting.c.place == 1)
        .order_by(Operation.priority, Operation.pk)
    )
    chosen: list[Operation] = []
    for operation in session.scalars(first):
        kind, beside = Kind(operation.kind), running[operation.addon_pk]
        if may_begin(kind, beside):
            chosen.append(operation)
            beside.add(kind)
    dispatch_all(session, queue, chosen)


def kinds_running(session: ReadSession, addon_pks: Collection[int]) -> dict[int, set[Kind]]:
    """The kinds of the operations that hold a slot of each addon."""
    running: dict[int, set[Kind]] = {addon_pk: set() for addon_pk in addon_pks}
    held = select(Operation.addon_pk, Operation.kind).where(Operation.addon_pk.in_(addon_pks))
    for addon_pk, kind in session.execute(held.where(Operation.slot.is_not(None))):
        running[addon_pk].add(Kind(kind))
    return running


_QUEUE = case((Operation.kind.in_(BESIDE), Operation.kind), else_="")
"""Which of its addon's queues an operation waits in: the one of all work, or its kind's own."""


def dispatch_all(session: WriteSession, queue: Queue, operations: Sequence[Operation]) -> None:
    """Dispatches operations, each under a new fence and with its addon's slot."""
    for operation in operations:
        operation.slot = BESIDE_SLOT if operation.kind in BESIDE else ALONE_SLOT
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
        Operation.id == dispatch.op,
        Operation.fence == dispatch.fence,
        Operation.slot.is_not(None),
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
    if operation is None or operation.slot is None or operation.fence != dispatch.fence:
        return None
    return operation


def save(session: WriteSession, dispatch: Dispatch, step: str, record: Document) -> bool:
    """Saves the record of a finished step. False: fenced off."""
    return _changed(session, _fenced(dispatch).values(step=step, record=record))


def report(session: WriteSession, dispatch: Dispatch, progress: Document) -> bool:
    """Saves the progress. False: fenced off."""
    return _changed(session, _fenced(dispatch).values(progress=progress))


def _fenced(dispatch: Dispatch) -> Update:
    return update(Operation).where(
        Operation.id == dispatch.op,
        Operation.fence == dispatch.fence,
        Operation.slot.is_not(None),
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
    """Copies the operation's status to its backup, restore or drill, in the same transaction.

    A backup's first copy follows as well. Additional copies that have not ended follow a failed
    operation, but not a completed one.
    """
    completed = ended if status in OVER else None
    for table in (Backup, Restore, Copy, Drill):
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
    held = select(Operation.id, Operation.fence)
    return [
        Dispatch(op, fence)
        for slot in (ALONE_SLOT, BESIDE_SLOT)  # one by one: each has an index of its own
        for op, fence in session.execute(held.where(Operation.slot == literal_column(str(slot))))
    ]


def waiting_addons(session: ReadSession) -> list[int]:
    """Addons with a waiting operation that may begin."""
    waiting = select(Operation.addon_pk, Operation.kind).where(
        Operation.status == Status.SCHEDULED, Operation.slot.is_(None)
    )
    rows = session.execute(waiting.distinct()).all()
    running = kinds_running(session, {addon_pk for addon_pk, _ in rows})
    return sorted({pk for pk, kind in rows if may_begin(Kind(kind), running[pk])})


def get(session: ReadSession, op: str) -> Operation | None:
    return session.scalar(select(Operation).where(Operation.id == op))
