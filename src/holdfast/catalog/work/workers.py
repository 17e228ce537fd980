"""Heartbeats: each worker counts its own, and watchers see whether the count grows. `seen` is the
database's time of the last beat; no decision depends on it."""

from collections.abc import Iterable, Mapping

from sqlalchemy import case, delete, func, insert, select, update

from holdfast.catalog.database.session import ReadSession, WriteSession, database_now
from holdfast.catalog.schema import Worker

_SLACK_MS = 5_000


def join(
    session: WriteSession, worker: str, node: str, controls: Iterable[str] = (), drills: int = 0
) -> None:
    controls = sorted(controls)
    row = {"id": worker, "node": node, "controls": controls, "drills": drills, "beats": 0}
    session.execute(insert(Worker).values(**row, seen=database_now()))


def beat(
    session: WriteSession, worker: str, node: str, controls: Iterable[str] = (), drills: int = 0
) -> None:
    """Counts a beat; adds the row again if others took this worker for dead."""
    values = {"seen": database_now(), "beats": Worker.beats + 1}
    statement = update(Worker).where(Worker.id == worker).values(values)
    if session.execute(statement.returning(Worker.id)).first() is None:
        join(session, worker, node, controls, drills)


def why_no_drills(session: ReadSession) -> str | None:
    """Why a drill that waits will not begin; None: some worker takes drills."""
    most = session.scalar(select(func.max(Worker.drills)))
    if most is None:
        return "no worker is there"
    return None if most else "no worker takes drills: HOLDFAST_DRILLS is 0 for all of them"


def node_in_control(session: ReadSession, addon: str) -> str | None:
    """The machine whose operator lets its worker stop and start this attached addon's server.

    Of several, the one that beat last. A beat in the future was left by a clock that was ahead, and
    its worker has not beaten since, so it comes last."""
    left = case((Worker.seen > database_now() + _SLACK_MS, 1), else_=0)
    order = (left, Worker.seen.desc())
    rows = session.execute(select(Worker.node, Worker.controls).order_by(*order))
    return next((node for node, controls in rows if addon in controls), None)


def leave(session: WriteSession, worker: str) -> None:
    session.execute(delete(Worker).where(Worker.id == worker))


def leave_node(session: WriteSession, node: str) -> None:
    """Removes all workers of a node: the caller holds the lock that proves they are dead."""
    session.execute(delete(Worker).where(Worker.node == node))


def beats(session: ReadSession) -> dict[str, int]:
    """The number of beats of each registered worker, silent or not."""
    rows = session.execute(select(Worker.id, Worker.beats))
    return {row.id: row.beats for row in rows}


def bury(session: WriteSession, silent: Mapping[str, int]) -> None:
    """Deletes workers that have not beaten since they were seen at these counts."""
    for worker, count in silent.items():
        session.execute(delete(Worker).where(Worker.id == worker, Worker.beats == count))


def silences(session: ReadSession) -> list[tuple[str, str, int]]:
    """Id, machine, and ms since the last beat, by the database's clock; those of a machine
    together."""
    rows = select(Worker.id, Worker.node, database_now() - Worker.seen)
    return [
        (identifier, node, max(age, 0))
        for identifier, node, age in session.execute(rows.order_by(Worker.node, Worker.id))
    ]
