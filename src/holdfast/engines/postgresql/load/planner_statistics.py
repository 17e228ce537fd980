"""Collects the planner's statistics of a loaded database in several sessions."""

import threading
from collections import deque
from collections.abc import Collection, Generator
from contextlib import contextmanager

import psycopg

from holdfast.engines.postgresql.client.address import Session
from holdfast.engines.postgresql.client.name_bytes import quoted
from holdfast.engines.postgresql.dump.inventory import Name

_TABLES = """
SELECT n.nspname, c.relname
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
   AND (c.oid >= 16384
        OR pg_relation_size(c.oid) > c.relpages * 1.1 * current_setting('block_size')::int)
 ORDER BY c.relkind = 'p' DESC, c.relpages DESC
"""
"""ANALYZE of a partitioned table includes its partitions. Large tables come first. Catalogues were
analysed when their server was made; those that have grown by a tenth since are analysed again."""


def analyse(session: Session, table: Name) -> None:
    session.execute(b"ANALYZE " + quoted(*table))


@contextmanager
def tolerate_failure(session: Session) -> Generator[None]:
    """Ignores errors of ANALYZE and of early counts, but not a stop or the end of a session.

    Functions in an index may fail with our search path. Statistics are no data, and the server
    collects them by itself in time; what cannot be counted now is counted later.
    """
    try:
        yield
    except psycopg.Error as error:
        if session.broken or isinstance(error, psycopg.errors.QueryCanceled):
            raise


class AnalyzeQueue:
    """The tables ANALYZE would analyse; each is analysed once, by the first session that is free.

    `analysed` are left out: they were analysed before.
    """

    def __init__(self, session: Session, analysed: Collection[Name]) -> None:
        self._lock = threading.Lock()
        rows = session.execute(_TABLES).fetchall()
        self._names = deque(name for name in rows if name not in analysed)

    def __len__(self) -> int:
        return len(self._names)

    def analyse(self, session: Session) -> None:
        while True:
            with self._lock:
                if not self._names:
                    return
                table = self._names.popleft()
            with tolerate_failure(session):
                analyse(session, table)
