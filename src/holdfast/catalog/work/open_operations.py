"""How much work waits and goes on. Only open operations are counted: there are few of them."""

from collections.abc import Sequence

from sqlalchemy import func, select

from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Operation
from holdfast.domain.operation import OVER, Status

_OPEN = sorted(set(Status) - OVER)


def counts(session: ReadSession) -> Sequence[tuple[str, str, int, int]]:
    """Kind, status, how many, and when the oldest of them was ordered (ms since 1970)."""
    counted = (
        select(Operation.kind, Operation.status, func.count(), func.min(Operation.created))
        .where(Operation.status.in_(_OPEN))
        .group_by(Operation.kind, Operation.status)
        .order_by(Operation.kind, Operation.status)
    )
    return [
        (kind, status, count, oldest) for kind, status, count, oldest in session.execute(counted)
    ]
