"""Answers given to POSTs, kept for the window in which a client may repeat them.

The row is inserted in the transaction of the change itself: of two racing identical requests the
second waits on the unique digest (or on SQLite's write lock) and then finds the first's answer.

Only the database's clock counts: hosts' differ, and one that is ahead would otherwise leave rows
that answer for as long as it was ahead. What lies in the future is no repetition either: that
clock was set back.
"""

from sqlalchemy import ColumnElement, delete, insert, or_, select
from sqlalchemy.exc import IntegrityError

from holdfast.catalog.database.session import WriteSession, database_now
from holdfast.catalog.schema import Document, Replay

WINDOW_MS = 10_000


def claim(session: WriteSession, digest: str) -> Document | None:
    """The answer of the first such request, or None: then it is ours to give."""
    session.execute(delete(Replay).where(Replay.digest == digest, _outside(WINDOW_MS)))
    try:
        with session.begin_nested():
            session.execute(insert(Replay).values(digest=digest, at=database_now(), answer=None))
    except IntegrityError:
        return session.scalar(select(Replay.answer).where(Replay.digest == digest))
    return None


def _outside(window: int) -> ColumnElement[bool]:
    """Not of the last `window` ms, as of when the database looks at the row: one that was
    written after we asked for the time is not of the future."""
    return or_(Replay.at <= database_now() - window, Replay.at > database_now())


def keep(session: WriteSession, digest: str, answer: Document) -> None:
    row = session.scalars(select(Replay).where(Replay.digest == digest)).one()
    row.answer = answer


def forget_old(session: WriteSession) -> None:
    session.execute(delete(Replay).where(_outside(6 * WINDOW_MS)))


def forget_all(session: WriteSession) -> None:
    session.execute(delete(Replay))
