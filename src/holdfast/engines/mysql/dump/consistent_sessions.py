"""Begins several sessions at the same moment of the data.

While they begin, writers wait for a lock: the global read lock where we may take it, else a read
lock on every table. Tables without transactions stay locked against writing until the dump is done,
because nothing else keeps them unchanged.
"""

import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from holdfast.contracts.engine import Address
from holdfast.domain.errors import AddonUnavailable
from holdfast.engines.mysql.client.address import connect
from holdfast.engines.mysql.client.connection import (
    Session,
    WireError,
    error_number,
    quote_qualified,
)
from holdfast.kit.processes.guard import Guard

MAX_LOCK_SECONDS = 20.0
"""Writers wait no longer than this: then the dump gives up."""

_LOCK_WAIT_SECONDS = 20
_NOT_ALLOWED = (1227, 1044, 1045)

Tables = Sequence[tuple[str, str]]


class ReadLock:
    """Keeps writers waiting until `release`, or for MAX_LOCK_SECONDS at most."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._broken = False
        self._timer = threading.Timer(MAX_LOCK_SECONDS, self._give_up)
        self._timer.daemon = True
        self._timer.start()

    def _give_up(self) -> None:
        self._broken = True
        self._session.cut()

    def release(self) -> None:
        """Lets writers go on. AddonUnavailable when the lock was lost: nothing is proven then."""
        self._timer.cancel()
        if not self._broken:
            try:
                self._session.execute("UNLOCK TABLES")
            except (WireError, OSError):
                self._broken = True
        if self._broken:
            raise AddonUnavailable(
                f"the dump did not begin within {MAX_LOCK_SECONDS:.0f} s under the read lock, which"
                " was given back",
                reason="lock",
            )

    def close(self) -> None:
        self._timer.cancel()


@contextmanager
def read_locked(address: Address, tables: Tables, guard: Guard) -> Generator[ReadLock]:
    """Holds the lock. AddonUnavailable when long statements of others keep us from getting it."""
    with connect(address) as session:
        session.execute(f"SET SESSION lock_wait_timeout = {_LOCK_WAIT_SECONDS}")
        give_up = guard.adopt(session.cut)
        try:
            try:
                session.execute("FLUSH TABLES WITH READ LOCK")
            except WireError as error:
                if error_number(error) not in _NOT_ALLOWED:
                    raise
                lock_tables(session, tables)
            lock = ReadLock(session)
            try:
                yield lock
            finally:
                lock.close()
        finally:
            give_up()


def lock_tables(session: Session, tables: Tables) -> None:
    """Takes read locks on all tables in one statement; an empty list is fine."""
    if tables:
        listed = ", ".join(f"{quote_qualified(database, table)} READ" for database, table in tables)
        session.execute(f"LOCK TABLES {listed}")
