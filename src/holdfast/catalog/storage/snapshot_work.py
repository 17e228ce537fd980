"""Tells whether work on snapshots is due or under way."""

from sqlalchemy import or_, select

from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Operation
from holdfast.catalog.storage import copies, repositories
from holdfast.domain.operation import OVER, Kind


def is_any_due(session: ReadSession, now: int) -> bool:
    """Whether a copy, repair or prune is due. One prepared query, because it runs every second."""
    return bool(session.scalar(_IS_ANY_DUE, {"now": now}))


_IS_ANY_DUE = select(
    or_(copies.TO_RETRY.exists(), copies.TO_REPAIR.exists(), repositories.TO_PRUNE.exists())
)


def is_under_way(session: ReadSession, addon_pk: int, kind: Kind) -> bool:
    going = select(Operation.pk).where(
        Operation.addon_pk == addon_pk,
        Operation.kind == kind,
        Operation.status.not_in(OVER),
    )
    return session.scalar(going.limit(1)) is not None
