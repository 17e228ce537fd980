"""Answers to POSTs, kept for the window in which a client may repeat the request.

The row is inserted in the transaction of the change: of two racing identical requests the second
one waits on the unique digest (or on SQLite's write lock) and then finds the first one's answer.

Only the database's clock counts: a host's clock that is ahead would leave rows that answer for as
long as it was ahead. Rows of the future are no repetition either: that clock was set back.
"""

from sqlalchemy import ColumnElement, delete, insert, or_, select
from sqlalchemy.exc import IntegrityError

from holdfast.catalog.database.session import WriteSession, database_now
from holdfast.catalog.schema import Document, Replay

WINDOW_MS = 10_000


def claim(session: WriteSession, digest: str) -> Document | None:
    """The answer to the first such request; None: this is the first one."""
    session.execute(delete(Replay).where(Replay.digest == digest, _outside(WINDOW_MS)))
    try:
        with session.begin_nested():
            session.execute(insert(Replay).values(digest=digest, at=database_now(), answer=None))
    except IntegrityError:
        return session.scalar(select(Replay.answer).where(Replay.digest == digest))
    return None


def _outside(window: int) -> ColumnElement[bool]:
    """Condition of rows that are not of the last `window` ms, by the time at which the database
    reads the row: a row written since the statement began is not of the future."""
    return or_(Replay.at <= database_now() - window, Replay.at > database_now())


def keep(session: WriteSession, digest: str, answer: Document) -> None:
    row = session.scalars(select(Replay).where(Replay.digest == digest)).one()
    row.answer = answer


def forget_old(session: WriteSession) -> None:
    session.execute(delete(Replay).where(_outside(6 * WINDOW_MS)))


def forget_all(session: WriteSession) -> None:
    session.execute(delete(Replay))
