"""Connections to the catalogue: one engine to read, one to write, on SQLite or PostgreSQL.

The type of a session says what it may do: a `ReadSession` refuses to flush. `write()` is one
transaction that commits at the end of the block; only the edges (api, cli server, jobs/runner,
daemons) open one. On SQLite a write transaction takes the write lock at BEGIN, so two writers
queue instead of failing half-way.
"""

import select
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any, cast

import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import (
    IntegrityError,
    InterfaceError,
    InternalError,
    InvalidatePoolError,
    OperationalError,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import BigInteger

from holdfast.catalog.database.deadlines import make_patient

PATIENCE = 20.0
"""Seconds for an answer: fewer than a worker may be silent before others take over."""

_PING_AFTER_SECONDS = 1.0
_RESTING_SINCE = "resting since"

CatalogAway = (OperationalError, InterfaceError, InternalError)
"""Errors of a broken connection to the catalogue, for layers that may not import SQLAlchemy."""

CatalogClash = IntegrityError
"""Another transaction took the name (or the slot) between our read and our write: read again."""


class ReadSession(Session):
    """Cannot change anything. On SQLite it sees one state; on PostgreSQL each statement sees what
    is committed when it begins."""

    def flush(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002 - SQLAlchemy's signature
        if not isinstance(self, WriteSession) and (self.new or self.dirty or self.deleted):
            raise TypeError("a ReadSession was asked to write")
        super().flush()


class WriteSession(ReadSession):
    """One transaction that may change rows."""


class database_now(FunctionElement[int]):  # noqa: N801 - reads as an SQL function
    """The database's clock in ms since 1970, because clocks of hosts differ."""

    type = BigInteger()
    inherit_cache = True


@compiles(database_now, "postgresql")
def _now_postgresql(*_: object, **__: object) -> str:
    return "(extract(epoch from clock_timestamp()) * 1000)::bigint"


@compiles(database_now, "sqlite")
def _now_sqlite(*_: object, **__: object) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"


class Catalog:
    """The catalogue at one database URL (`sqlite:///path` or `postgresql://...`)."""

    def __init__(self, url: str, patience: float = PATIENCE) -> None:
        """`patience`: seconds that an answer of PostgreSQL may take."""
        parsed = make_url(url)
        if parsed.get_backend_name() == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        self.url, self._patience = parsed, patience
        if self.is_sqlite:
            self.engine = _sqlite_engine(self.url, begin="BEGIN IMMEDIATE")
            self._reader = _sqlite_engine(self.url, begin="BEGIN", read_only=True)
        else:
            self.engine = _postgresql_engine(self.url, patience)
            # Each statement sees what is committed when it begins, in a transaction, too. So reads
            # go without one: opening and ending it would be half of what they wait for.
            self._reader = _postgresql_engine(self.url, patience, isolation_level="AUTOCOMMIT")
        self._write = sessionmaker(self.engine, class_=WriteSession, expire_on_commit=False)
        self._read = sessionmaker(self._reader, class_=ReadSession)

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @contextmanager
    def read(self) -> Generator[ReadSession]:
        with self._read() as session:
            yield session

    @contextmanager
    def write(self) -> Generator[WriteSession]:
        with self._write.begin() as session:
            yield session

    def ping(self) -> None:
        """Raises SQLAlchemyError when the database does not answer."""
        with self._reader.connect() as connection:
            connection.execute(text("SELECT 1"))

    def engine_of_its_own(self) -> Engine | None:
        """An engine with the same time limits for a library with its own SQL; None on SQLite."""
        return None if self.is_sqlite else _postgresql_engine(self.url, self._patience)

    def close(self) -> None:
        self.engine.dispose()
        self._reader.dispose()


def see_one_state(session: ReadSession) -> None:
    """Lets all statements of a session see one state; call it first. SQLite's do anyway.

    The session may rest longer than others between two statements. On PostgreSQL rows that are
    fetched some at a time need it, too: a cursor lives as long as its transaction.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        session.execute(text("SET LOCAL idle_in_transaction_session_timeout = '5min'"))


def insert_all(session: WriteSession, rows: Iterable[object]) -> None:
    """Inserts rows that are not used afterwards, for a third of the work of adding them."""
    session.bulk_save_objects(rows)


def take_turns(session: WriteSession) -> None:
    """Serialises callers' changes on PostgreSQL, as SQLite does anyway; they are short.

    Take it before any other lock: only callers take this one, so there is no deadlock.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(7341, 0)"))


def lock_addon(session: WriteSession, addon_pk: int) -> None:
    """Serialises changes to one addon; SQLite's write lock already does."""
    lock_addons(session, [addon_pk])


def lock_addons(session: WriteSession, addon_pks: Iterable[int]) -> None:
    """Locks several addons, always in the order of their keys, so that there is no deadlock."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(
            text("SELECT pg_advisory_xact_lock(7340, key) FROM unnest(CAST(:keys AS int[])) key"),
            {"keys": sorted({_lock_key(pk) for pk in addon_pks})},
        )


def try_lock_addons(session: WriteSession, addon_pks: Iterable[int]) -> set[int]:
    """Locks the addons that are free and returns them; never waits, so any order is safe."""
    keys = {pk: _lock_key(pk) for pk in addon_pks}
    if session.get_bind().dialect.name != "postgresql":
        return set(keys)
    tried = session.execute(
        text(
            "SELECT key, pg_try_advisory_xact_lock(7340, key) FROM unnest(CAST(:keys AS int[])) key"
        ),
        {"keys": sorted(set(keys.values()))},
    )
    locked = {key for key, ours in tried if ours}
    return {pk for pk, key in keys.items() if key in locked}


def _lock_key(addon_pk: int) -> int:
    return addon_pk % 2**31


def _postgresql_engine(url: URL, patience: float, **options: Any) -> Engine:
    limits = "-c idle_in_transaction_session_timeout=15s -c lock_timeout=10s"
    engine = create_engine(
        url,
        pool_size=20,
        max_overflow=20,
        hide_parameters=True,  # errors go into the log
        **options,
        insertmanyvalues_page_size=50,  # psycopg takes statements apart in Python: not huge ones
        connect_args={
            "options": limits,
            "connect_timeout": 5,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": round(patience * 1000),  # without acknowledgement
            "application_name": "holdfast",
        },
    )
    make_patient(engine, patience)
    _ping_rested(engine)
    return engine


def _ping_rested(engine: Engine) -> None:
    """Tries connections that rested before they are used, and replaces all when one is dead.

    SQLAlchemy's own `pool_pre_ping` would try them before every use, which costs a short read a
    fifth of its time. A server that ends says so, and a connection at rest expects no words: when
    there are none, only a host that vanished can be behind it, which needs the longer rest.
    """

    @event.listens_for(engine, "checkin")
    def on_checkin(_: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:  # pyright: ignore[reportUnusedFunction]
        record.info[_RESTING_SINCE] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def on_checkout(raw: DBAPIConnection, record: ConnectionPoolEntry, _: object) -> None:  # pyright: ignore[reportUnusedFunction]
        since = record.info.get(_RESTING_SINCE)
        if since is None:
            return
        unasked = select.poll()
        unasked.register(cast("psycopg.Connection[Any]", raw), select.POLLIN)
        try:
            if time.monotonic() - since >= _PING_AFTER_SECONDS or unasked.poll(0):
                engine.dialect.do_ping(raw)
        except psycopg.Error as error:
            raise InvalidatePoolError from error


def _sqlite_engine(url: URL, begin: str, *, read_only: bool = False) -> Engine:
    engine = create_engine(
        url, pool_size=20, max_overflow=30, hide_parameters=True, connect_args={"timeout": 30}
    )
    pragmas = ["journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "foreign_keys=ON"]
    if read_only:
        pragmas.append("query_only=ON")

    @event.listens_for(engine, "connect")
    def on_connect(raw: DBAPIConnection, _: ConnectionPoolEntry) -> None:  # pyright: ignore[reportUnusedFunction]
        cast("Any", raw).isolation_level = None  # we say BEGIN ourselves, below
        cursor = raw.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.exec_driver_sql(begin)

    return engine
