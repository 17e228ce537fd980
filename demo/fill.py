"""Fills a server with the shop: the server computes the rows, two sessions at a time."""

import queue
import threading
from collections.abc import Callable
from contextlib import suppress

import psycopg
from psycopg import Connection
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from demo import schema
from demo.portions import CUSTOMERS, PASSAGES, Batch, batches
from demo.words import passages

_SESSIONS = 2
Progress = Callable[[int, int | None], None]


class Address:
    """A server by its connection string; `database` None is the one the string names."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def connect(self, database: str | None = None) -> Connection:
        more = {"dbname": database} if database else {}
        return psycopg.connect(make_conninfo(self.uri, **more), autocommit=True)


def fill(address: Address, size: int, progress: Progress) -> None:
    """Makes about `size` bytes of dump. `progress` is told bytes done and expected."""
    _prepare(address)
    planned = list(batches(size))
    _Loader(address, planned, size, progress).run()
    with address.connect() as session:
        session.execute(schema.FINISH)
        session.execute("ANALYZE")
    with address.connect(schema.SECOND) as session:
        session.execute(schema.SECOND_FINISH)


def _prepare(address: Address) -> None:
    with address.connect() as session:
        session.execute(schema.ROLES)
        session.execute(schema.TABLES)
        for extension, use in schema.EXTENSIONS.items():
            with suppress(psycopg.errors.UndefinedFile, psycopg.errors.FeatureNotSupported):
                session.execute(SQL("CREATE EXTENSION {}").format(Identifier(extension)))
                session.execute(use)
        session.execute(SQL("CREATE DATABASE {} OWNER shop_app").format(Identifier(schema.SECOND)))
        session.execute(
            SQL("ALTER DATABASE {} SET work_mem TO '9MB'").format(Identifier(schema.SECOND))
        )
        _seed(session)
    with address.connect(schema.SECOND) as session:
        session.execute(schema.SECOND_TABLES)
        _seed(session)


def _seed(session: Connection) -> None:
    with session.cursor().copy("COPY seed.passage FROM STDIN") as copy:
        for number, text in enumerate(passages(PASSAGES)):
            copy.write_row((number, text))
    session.execute("ANALYZE seed.passage")


class _Loader:
    """Works batches off; the first trouble ends it."""

    def __init__(
        self, address: Address, planned: list[Batch], size: int, progress: Progress
    ) -> None:
        self._address = address
        self._progress = progress
        self._expected = sum(batch.size for batch in planned)
        self._customers = CUSTOMERS.rows(size)
        self._waiting: queue.SimpleQueue[Batch] = queue.SimpleQueue()
        for batch in planned:
            self._waiting.put(batch)
        self._lock = threading.Lock()
        self._done = 0
        self._trouble: list[Exception] = []

    def run(self) -> None:
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(_SESSIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._trouble:
            raise self._trouble[0]

    def _work(self) -> None:
        sessions: dict[str | None, Connection] = {}
        try:
            while not self._trouble:
                batch = self._waiting.get_nowait()
                if batch.database not in sessions:
                    sessions[batch.database] = self._address.connect(batch.database)
                self._insert(sessions[batch.database], batch)
        except queue.Empty:
            pass
        except Exception as error:  # noqa: BLE001 - carried to the thread that waits
            self._trouble.append(error)
        finally:
            for session in sessions.values():
                session.close()

    def _insert(self, session: Connection, batch: Batch) -> None:
        values = {"first": batch.first, "last": batch.last, "customers": self._customers}
        session.execute(batch.statement, values)
        with self._lock:
            self._done += batch.size
            self._progress(self._done, self._expected)
