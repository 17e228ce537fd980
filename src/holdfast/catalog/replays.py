"""Answers given to POSTs, kept for the window in which a client may repeat them.

The row is inserted in the transaction of the change itself: of two racing identical requests the
second waits on the unique digest (or on SQLite's write lock) and then finds the first's answer.
"""

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from holdfast.catalog.schema import Document, Replay
from holdfast.catalog.session import WriteSession

WINDOW_MS = 10_000


def claim(session: WriteSession, digest: str, now: int) -> Document | None:
    """The answer of the first such request, or None: then it is ours to give."""
    session.execute(delete(Replay).where(Replay.digest == digest, Replay.at < now - WINDOW_MS))
    try:
        with session.begin_nested():
            session.add(Replay(digest=digest, at=now, answer=None))
    except IntegrityError:
        return session.scalar(select(Replay.answer).where(Replay.digest == digest))
    return None


def keep(session: WriteSession, digest: str, answer: Document) -> None:
    row = session.scalars(select(Replay).where(Replay.digest == digest)).one()
    row.answer = answer


def forget_old(session: WriteSession, now: int) -> None:
    session.execute(delete(Replay).where(Replay.at < now - 6 * WINDOW_MS))


def forget_all(session: WriteSession) -> None:
    session.execute(delete(Replay))
