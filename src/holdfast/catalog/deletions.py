"""Objects on their way out. A deletion is a row until the store confirmed it."""

from collections.abc import Collection

from sqlalchemy import select, update

from holdfast.catalog.schema import Copy, Deletion
from holdfast.catalog.session import ReadSession, WriteSession


def mark(session: WriteSession, copy: Copy, prefix: str, reason: str, due: int, now: int) -> None:
    """The copy's objects under `prefix` are removed at `due`, unless called off before."""
    copy.marked = now
    session.add(
        Deletion(
            copy_pk=copy.pk,
            destination_pk=copy.destination_pk,
            prefix=prefix,
            reason=reason,
            created=now,
            due=due,
            tries=0,
        )
    )


def due(session: ReadSession, limit: int = 20) -> list[Deletion]:
    """What is not gone yet, the least tried first."""
    waiting = select(Deletion).where(Deletion.done.is_(None))
    return list(session.scalars(waiting.order_by(Deletion.tries, Deletion.pk).limit(limit)))


def tried(session: WriteSession, pk: int, problem: str | None, now: int) -> None:
    """`problem` None: confirmed gone."""
    if problem is None:
        copy_pk = select(Deletion.copy_pk).where(Deletion.pk == pk).scalar_subquery()
        session.execute(update(Copy).where(Copy.pk == copy_pk).values(gone=now))
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


def pending_of(session: ReadSession, copy_pks: Collection[int]) -> dict[int, Deletion]:
    """By copy, those that are neither done nor called off."""
    waiting = select(Deletion).where(
        Deletion.copy_pk.in_(copy_pks), Deletion.done.is_(None), Deletion.called_off.is_(None)
    )
    return {row.copy_pk: row for row in session.scalars(waiting) if row.copy_pk is not None}
