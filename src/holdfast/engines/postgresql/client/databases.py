"""Sessions beside the databases at stake: creating, looking at and dropping whole databases."""

import threading
from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager, suppress

import psycopg
from psycopg.sql import SQL, Identifier

from holdfast.contracts.engine import Address
from holdfast.domain.errors import AddonRefused
from holdfast.engines.postgresql.client.address import DOORS, Session, connect, enter
from holdfast.engines.postgresql.client.object_names import is_ours
from holdfast.engines.postgresql.client.server_errors import translated
from holdfast.kit.processes.guard import Guard

_AGAIN_SECONDS = 0.2


@contextmanager
def maintenance(
    address: Address,
    application: str,
    *,
    avoid: Collection[str] = (),
    guard: Guard | None = None,
) -> Generator[Session]:
    """A session in a database that is not at stake; a stop cancels what it does."""
    with translated(guard), _enter(address, application, avoid) as session, watched(session, guard):
        yield session


def _enter(address: Address, application: str, avoid: Collection[str]) -> Session:
    """Any database will do, and any may be missing or closed."""
    usual = [door for door in (*DOORS, address.database) if door not in avoid]
    try:
        return enter(address, usual, application)
    except AddonRefused:
        with connect(address, application=application) as session:
            others = [name for name in _open_databases(session) if name not in avoid]
        return enter(address, [name for name in others if not is_ours(name)], application)


def _open_databases(session: Session) -> Sequence[str]:
    rows = session.execute(
        "SELECT datname::text FROM pg_database WHERE datallowconn AND datconnlimit <> -2 ORDER BY 1"
    )
    return [row[0] for row in rows]


@contextmanager
def watched(session: Session, guard: Guard | None) -> Generator[None]:
    if guard is None:
        yield
        return
    guard.check()
    canceller = Canceller(session)
    release = guard.adopt(canceller.start)
    try:
        yield
    finally:
        release()
        canceller.give_up()


class Canceller:
    """Cancels what a session does, and whatever it begins after that: a cancel that comes between
    two statements ends neither, and the next one may wait for a lock for ever."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._given_up = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Returns at once. Repeatable, from any thread."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._cancel, name="cancel", daemon=True)
                self._thread.start()

    def give_up(self) -> None:
        """From now on the session's statements are left alone."""
        self._given_up.set()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()

    def _cancel(self) -> None:
        while not self._given_up.is_set():
            with suppress(psycopg.Error):  # one that is closed meanwhile does nothing any more
                self._session.cancel()
            self._given_up.wait(_AGAIN_SECONDS)


def names(session: Session, prefix: str = "") -> Sequence[str]:
    """Databases whose name starts with `prefix`, in order; also those half dropped."""
    rows = session.execute(
        "SELECT datname::text FROM pg_database WHERE starts_with(datname, %s) ORDER BY 1", [prefix]
    )
    return [row[0] for row in rows]


def exists(session: Session, database: str) -> bool:
    row = session.execute("SELECT FROM pg_database WHERE datname = %s", [database]).fetchone()
    return row is not None


def drop(session: Session, database: str) -> None:
    """Missing is success. Its sessions are ended.

    A drop that the server could not finish leaves a database that nothing works on but another
    drop: to change it ends the session that tries.
    """
    row = session.execute(
        "SELECT datistemplate AND datconnlimit <> -2 FROM pg_database WHERE datname = %s",
        [database],
    ).fetchone()
    quoted = Identifier(database)
    if row is not None and row[0]:
        session.execute(SQL("ALTER DATABASE {} IS_TEMPLATE false").format(quoted))
    session.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(quoted))
