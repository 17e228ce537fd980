"""Ended operations whose leftovers are still to be removed."""

from sqlalchemy import literal_column, select

from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import Operation
from holdfast.catalog.work.operations import dispatch_all, kinds_running, locked, promote
from holdfast.contracts.queue import Dispatch, Queue
from holdfast.domain.operation import OVER, Kind, may_begin

# SQLite uses a partial index only for exactly this text; `is_(True)` would render `IS 1`.
_LITTERED = Operation.litter.is_(literal_column("TRUE"))


def littered(session: ReadSession, after: int, limit: int = 50) -> list[Operation]:
    """Ended operations whose leftovers still have to be removed, oldest first, past `after`."""
    waiting = select(Operation).where(_LITTERED, Operation.slot.is_(None), Operation.pk > after)
    return list(session.scalars(waiting.order_by(Operation.pk).limit(limit)))


def cleans(session: ReadSession, dispatch: Dispatch) -> bool:
    """Whether leftovers of the ended operation are still to be removed under this dispatch."""
    current = select(Operation.pk).where(
        Operation.id == dispatch.op, Operation.fence == dispatch.fence, _LITTERED
    )
    return session.scalar(current) is not None


def dispatch_cleaning(session: WriteSession, queue: Queue, op: str) -> bool:
    """Dispatches the removal of leftovers to a worker of the operation's lane. False: the addon is
    busy with what would keep it out, or nothing is left."""
    operation = locked(session, op)
    if operation is None or not operation.litter or operation.slot is not None:
        return False
    running = kinds_running(session, [operation.addon_pk])[operation.addon_pk]
    if not may_begin(Kind(operation.kind), running):
        return False
    dispatch_all(session, queue, [operation])
    return True


def cleaned(session: WriteSession, queue: Queue, dispatch: Dispatch, *, left: bool = False) -> None:
    """Records that leftovers are gone, or that some are still `left`; frees the addon."""
    operation = locked(session, dispatch.op)
    if operation is None or operation.fence != dispatch.fence or operation.status not in OVER:
        return
    operation.litter, operation.slot = left, None
    session.flush()
    promote(session, queue, operation.addon_pk)
