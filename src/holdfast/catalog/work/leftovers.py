"""Operations that are over and left something behind which is still to be removed."""

from sqlalchemy import literal_column, select

from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import Operation
from holdfast.catalog.work.operations import dispatch, locked, promote
from holdfast.contracts.queue import Dispatch, Queue
from holdfast.domain.operation import OVER

# SQLite uses an index with a condition only for these very words; `is_(True)` would say `IS 1`.
_LITTERED = Operation.litter.is_(literal_column("TRUE"))


def littered(session: ReadSession, after: int, limit: int = 50) -> list[Operation]:
    """Ended operations whose leftovers still have to be removed, oldest first, past `after`."""
    waiting = select(Operation).where(_LITTERED, Operation.slot.is_(None), Operation.pk > after)
    return list(session.scalars(waiting.order_by(Operation.pk).limit(limit)))


def cleans(session: ReadSession, what: Dispatch) -> bool:
    """Is this ended operation's litter still to be removed, under this dispatch?"""
    current = select(Operation.pk).where(
        Operation.id == what.op, Operation.fence == what.fence, _LITTERED
    )
    return session.scalar(current) is not None


def dispatch_cleaning(session: WriteSession, queue: Queue, op: str) -> bool:
    """Has a worker of its lane remove what an ended operation left, while nothing else is done to
    the addon. False: something is, or there is nothing left."""
    operation = locked(session, op)
    if operation is None or not operation.litter or operation.slot is not None:
        return False
    busy = select(Operation.pk).where(
        Operation.addon_pk == operation.addon_pk, Operation.slot.is_not(None)
    )
    if session.scalar(busy.limit(1)) is not None:
        return False
    dispatch(session, queue, [operation])
    return True


def cleaned(session: WriteSession, queue: Queue, what: Dispatch, *, left: bool = False) -> None:
    """The litter is gone, or some is `left` once more; the addon is free for what waits."""
    operation = locked(session, what.op)
    if operation is None or operation.fence != what.fence or operation.status not in OVER:
        return
    operation.litter, operation.slot = left, None
    session.flush()
    promote(session, queue, operation.addon_pk)
