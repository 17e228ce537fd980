"""Creates, lists and drops whole databases, from sessions outside of them."""

import threading
from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager, suppress

import psycopg
from psycopg.sql import SQL, Identifier

from holdfast.contracts.engine import Address
from holdfast.domain.errors import AddonRefused
from holdfast.engines.postgresql.client.address import (
    USUAL_DATABASES,
    Session,
    connect,
    connect_to_first,
)
from holdfast.engines.postgresql.client.object_names import is_ours
from holdfast.engines.postgresql.client.server_errors import translated
from holdfast.kit.processes.guard import Guard

_CANCEL_EVERY_SECONDS = 0.2


@contextmanager
def maintenance(
    address: Address,
    application: str,
    *,
    avoid: Collection[str] = (),
    guard: Guard | None = None,
) -> Generator[Session]:
    """A session in any database except those to `avoid`; a stop cancels its statements."""
    with translated(guard):
        usual = [name for name in (*USUAL_DATABASES, address.database) if name not in avoid]
        try:
            session = connect_to_first(address, usual, application)
        except AddonRefused:  # all of them are missing or closed: any other will do
            with connect(address, application=application) as other:
                rows = other.execute(
                    "SELECT datname::text FROM pg_database"
                    " WHERE datallowconn AND datconnlimit <> -2 ORDER BY 1"
                ).fetchall()
            others = [name for (name,) in rows if name not in avoid and not is_ours(name)]
            session = connect_to_first(address, others, application)
        with session, cancelled_on_stop(session, guard):
            yield session


@contextmanager
def cancelled_on_stop(session: Session, guard: Guard | None) -> Generator[None]:
    """While the block runs, a stop of `guard` cancels the statements of `session`."""
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
    """Cancels a session's statement and all that follow it until `give_up`.

    One cancel is not enough: between two statements it ends neither, and the next one may wait for
    a lock for ever.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._given_up = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Starts cancelling in a thread and returns at once. Repeatable, from any thread."""

        def cancel() -> None:
            while not self._given_up.is_set():
                with suppress(psycopg.Error):  # the session may be closed by now
                    self._session.cancel()
                self._given_up.wait(_CANCEL_EVERY_SECONDS)

        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=cancel, name="cancel", daemon=True)
                self._thread.start()

    def give_up(self) -> None:
        """Stops cancelling the session's statements."""
        self._given_up.set()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()


def names(session: Session, prefix: str = "") -> Sequence[str]:
    """Databases whose name starts with `prefix`, in order, including half-dropped ones."""
    rows = session.execute(
        "SELECT datname::text FROM pg_database WHERE starts_with(datname, %s) ORDER BY 1", [prefix]
    )
    return [row[0] for row in rows]


def exists(session: Session, database: str) -> bool:
    row = session.execute("SELECT FROM pg_database WHERE datname = %s", [database]).fetchone()
    return row is not None


def drop(session: Session, database: str) -> None:
    """Drops a database and ends its sessions. Missing is success.

    A database that the server could not finish dropping accepts nothing but another drop: a session
    that tries to alter it is ended.
    """
    row = session.execute(
        "SELECT datistemplate AND datconnlimit <> -2 FROM pg_database WHERE datname = %s",
        [database],
    ).fetchone()
    quoted = Identifier(database)
    if row is not None and row[0]:
        session.execute(SQL("ALTER DATABASE {} IS_TEMPLATE false").format(quoted))
    session.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(quoted))
