"""The processes of an installation, as their rows show them."""

from sqlalchemy import select

from holdfast.catalog.database.session import ReadSession, database_now
from holdfast.catalog.schema import Worker


def workers(session: ReadSession) -> list[tuple[str, str, int]]:
    """Id, machine, and ms since the last beat, by the database's clock; those of a machine
    together."""
    rows = select(Worker.id, Worker.node, database_now() - Worker.seen)
    return [
        (identifier, node, max(age, 0))
        for identifier, node, age in session.execute(rows.order_by(Worker.node, Worker.id))
    ]
