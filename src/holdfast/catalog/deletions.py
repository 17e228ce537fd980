"""Objects on their way out. A deletion is a row until the store confirmed it."""

from sqlalchemy import select, update

from holdfast.catalog.schema import Deletion
from holdfast.catalog.session import ReadSession, WriteSession


def mark(
    session: WriteSession, destination_pk: int | None, prefix: str, reason: str, now: int
) -> None:
    session.add(
        Deletion(destination_pk=destination_pk, prefix=prefix, reason=reason, created=now, tries=0)
    )


def due(session: ReadSession, limit: int = 20) -> list[Deletion]:
    """What is not gone yet, the least tried first."""
    waiting = select(Deletion).where(Deletion.done.is_(None))
    return list(session.scalars(waiting.order_by(Deletion.tries, Deletion.pk).limit(limit)))


def tried(session: WriteSession, pk: int, problem: str | None, now: int) -> None:
    """`problem` None: confirmed gone."""
    session.execute(
        update(Deletion)
        .where(Deletion.pk == pk)
        .values(tries=Deletion.tries + 1, last_error=problem, done=None if problem else now)
    )


def pending_at(session: ReadSession, destination_pk: int) -> int:
    """How many deletions still need this destination."""
    waiting = select(Deletion.pk).where(
        Deletion.destination_pk == destination_pk, Deletion.done.is_(None)
    )
    return len(list(session.scalars(waiting)))
