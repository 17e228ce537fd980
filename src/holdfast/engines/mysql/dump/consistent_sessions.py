"""Makes several sessions see the same moment.

For as long as it takes to begin, nobody writes: the global read lock where we may take it, else a
read lock on every table. Tables without transactions stay locked against writing until the dump
is done, because nothing else would keep them as they were.
"""

import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from holdfast.contracts.engine import Address
from holdfast.domain.errors import AddonUnavailable
from holdfast.engines.mysql.client.address import connect
from holdfast.engines.mysql.client.connection import Session, WireError, code, name
from holdfast.kit.processes.guard import Guard

HOLD_SECONDS = 20.0
"""Longer than this nobody is kept waiting: the dump gives up instead."""

_WAIT_SECONDS = 20
_NOT_ALLOWED = (1227, 1044, 1045)

Tables = Sequence[tuple[str, str]]


class Still:
    """Nobody writes until `release`, or until HOLD_SECONDS are over."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._broken = False
        self._timer = threading.Timer(HOLD_SECONDS, self._give_up)
        self._timer.daemon = True
        self._timer.start()

    def _give_up(self) -> None:
        self._broken = True
        self._session.cut()

    def release(self) -> None:
        """AddonUnavailable when the lock did not last until now: then nothing is proven."""
        self._timer.cancel()
        if not self._broken:
            try:
                self._session.execute("UNLOCK TABLES")
            except (WireError, OSError):
                self._broken = True
        if self._broken:
            raise AddonUnavailable(
                f"the dump did not begin within {HOLD_SECONDS:.0f} s under the read lock, which"
                " was given back",
                reason="lock",
            )

    def close(self) -> None:
        self._timer.cancel()


@contextmanager
def stillness(address: Address, everything: Tables, guard: Guard) -> Generator[Still]:
    """AddonUnavailable when long statements of others do not let us have the lock."""
    with connect(address) as session:
        session.execute(f"SET SESSION lock_wait_timeout = {_WAIT_SECONDS}")
        give_up = guard.adopt(session.cut)
        try:
            _lock(session, everything)
            still = Still(session)
            try:
                yield still
            finally:
                still.close()
        finally:
            give_up()


def _lock(session: Session, everything: Tables) -> None:
    try:
        session.execute("FLUSH TABLES WITH READ LOCK")
    except WireError as error:
        if code(error) not in _NOT_ALLOWED:
            raise
        lock_tables(session, everything)


def lock_tables(session: Session, tables: Tables) -> None:
    """Read locks on all of them at once; none is fine."""
    if tables:
        listed = ", ".join(f"{name(database)}.{name(table)} READ" for database, table in tables)
        session.execute(f"LOCK TABLES {listed}")
