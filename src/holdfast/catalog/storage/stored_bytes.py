"""Bytes of good copies by addon and store. It reads all copies, so callers remember the answer."""

from sqlalchemy import func, select

from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Copy
from holdfast.domain.operation import Status


def by_addon_and_store(session: ReadSession) -> list[tuple[int, int | None, int, int]]:
    """Keys of addon and destination (None: the platform store), number of copies, bytes."""
    counted = (
        select(Copy.addon_pk, Copy.destination_pk, func.count(), func.sum(Copy.size))
        .where(Copy.status == Status.COMPLETED, Copy.lost.is_(None), Copy.gone.is_(None))
        .group_by(Copy.addon_pk, Copy.destination_pk)
        .order_by(Copy.addon_pk, Copy.destination_pk)
    )
    return [
        (addon_pk, destination_pk, copies, int(size))
        for addon_pk, destination_pk, copies, size in session.execute(counted)
    ]
