"""Heartbeats: which workers live, by the database's clock."""

from collections.abc import Iterable

from sqlalchemy import delete, insert, select, update

from holdfast.catalog.schema import Worker
from holdfast.catalog.session import ReadSession, WriteSession, database_now


def join(session: WriteSession, worker: str, node: str, controls: Iterable[str] = ()) -> None:
    row = {"id": worker, "node": node, "controls": sorted(controls)}
    session.execute(insert(Worker).values(**row, seen=database_now()))


def beat(session: WriteSession, worker: str, node: str, controls: Iterable[str] = ()) -> None:
    """Says we live; joins again if somebody took us for dead meanwhile."""
    seen = update(Worker).where(Worker.id == worker).values(seen=database_now())
    if session.execute(seen.returning(Worker.id)).first() is None:
        join(session, worker, node, controls)


def node_in_control(session: ReadSession, addon: str) -> str | None:
    """The machine whose operator lets its worker stop and start this attached addon's server."""
    rows = session.execute(select(Worker.node, Worker.controls).order_by(Worker.seen.desc()))
    return next((node for node, controls in rows if addon in controls), None)


def leave(session: WriteSession, worker: str) -> None:
    session.execute(delete(Worker).where(Worker.id == worker))


def leave_node(session: WriteSession, node: str) -> None:
    """Removes all workers of a node: the caller holds the lock that proves they are dead."""
    session.execute(delete(Worker).where(Worker.node == node))


def living(session: ReadSession, dead_after_ms: int) -> set[str]:
    return set(
        session.scalars(select(Worker.id).where(Worker.seen > database_now() - dead_after_ms))
    )


def registered(session: ReadSession) -> set[str]:
    """Everybody who joined and did not leave, silent or not."""
    return set(session.scalars(select(Worker.id)))


def bury(session: WriteSession, dead_after_ms: int) -> None:
    """Forgets workers long dead; their work was taken over before."""
    session.execute(delete(Worker).where(Worker.seen < database_now() - 10 * dead_after_ms))
