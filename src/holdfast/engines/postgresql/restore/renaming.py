"""Renames databases in one transaction, while their sessions are ended.

RENAME needs a database without sessions: while it waits no new session can enter, so a second
session only has to end those that are there.
"""

import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg.sql import SQL, Identifier

from holdfast.contracts.engine import Address, Attempt
from holdfast.domain.errors import AddonRefused
from holdfast.engines.postgresql.client.address import Session, connect
from holdfast.engines.postgresql.client.object_names import application

_MAX_TRIES = 5
_EVICT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = ANY(%s) AND pid <> pg_backend_pid()"
)


@dataclass(frozen=True)
class Rename:
    before: str
    after: str


def rename(
    address: Address,
    session: Session,
    attempt: Attempt,
    renames: Sequence[Rename],
    later: Sequence[str] = (),
) -> None:
    """Renames all of them and executes the statements `later` in one transaction.

    A new session may still slip in between an eviction and a rename: then all is tried again.
    """
    with sessions_ended(address, session.info.dbname, attempt, [r.before for r in renames]):
        for remaining in reversed(range(_MAX_TRIES)):
            try:
                with session.transaction():
                    for change in renames:
                        session.execute(
                            SQL("ALTER DATABASE {} RENAME TO {}").format(
                                Identifier(change.before), Identifier(change.after)
                            )
                        )
                    for statement in later:
                        session.execute(statement.encode())
                return
            except psycopg.errors.ObjectInUse as error:
                if remaining == 0:
                    raise AddonRefused(
                        f"sessions that do not end hold a database: {error}"
                    ) from error


@contextmanager
def sessions_ended(
    address: Address, maintenance_database: str, attempt: Attempt, databases: Sequence[str]
) -> Generator[None]:
    """Ends every session in these databases, again and again, until the block is left."""
    over = threading.Event()
    own = application(attempt)

    def evict(session: Session) -> None:
        try:
            while not over.is_set():
                session.execute(_EVICT, [list(databases)])
                over.wait(0.2)
        except psycopg.Error:
            return  # the renames themselves will report the trouble

    with connect(address, maintenance_database, own) as session:
        session.execute(_EVICT, [list(databases)])
        thread = threading.Thread(target=evict, args=(session,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
