"""Lets PostgreSQL's own checker read every table and index of a database.

The extension is made in a transaction that is rolled back, so the database stays as it was.
"""

from collections.abc import Mapping

import psycopg
from psycopg.sql import SQL, Literal

from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.postgresql.client.address import Session
from holdfast.kit.processes.guard import Guard

_TABLES = """
SELECT c.oid, c.oid::regclass::text FROM pg_class c
 WHERE c.relkind IN ('r', 'm', 't') AND c.relpersistence = 'p'
   AND c.relam = (SELECT oid FROM pg_am WHERE amname = 'heap')
 ORDER BY c.oid
"""
_INDEXES = """
SELECT c.oid, c.oid::regclass::text FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
 WHERE c.relkind = 'i' AND c.relpersistence = 'p' AND i.indisvalid AND i.indisready
   AND c.relam = (SELECT oid FROM pg_am WHERE amname = 'btree')
 ORDER BY c.oid
"""


def verify(session: Session, guard: Guard) -> Mapping[str, object]:
    """Counts what was checked. EvidenceMissing names the first table or index that is damaged."""
    available = session.execute(
        "SELECT 1 FROM pg_available_extensions WHERE name = 'amcheck'"
    ).fetchone()
    if available is None:
        return {"amcheck": "not installed on this machine"}
    with session.transaction(force_rollback=True):
        install(session)
        tables = _check_each(session, guard, _TABLES, "SELECT msg FROM verify_heapam({}) LIMIT 1")
        indexes = _check_each(session, guard, _INDEXES, "SELECT bt_index_check({})::text")
    return {"tables": tables, "indexes": indexes}


def install(session: Session) -> None:
    """Makes the extension anew, in a schema where nothing but the server's own functions is.

    Beside one that the owner has in a schema of theirs, a function of theirs might be called by the
    same name. For a transaction that is rolled back.
    """
    session.execute("DROP EXTENSION IF EXISTS amcheck CASCADE")
    session.execute("CREATE EXTENSION amcheck SCHEMA pg_catalog")


def _check_each(session: Session, guard: Guard, listing: str, check: str) -> int:
    rows = session.execute(listing.encode()).fetchall()
    for oid, name in rows:
        guard.check()
        guard.moved(0)
        try:
            complaint = session.execute(SQL(check).format(Literal(oid))).fetchone()  # pyright: ignore[reportArgumentType] - one of two constants
        except psycopg.errors.DataCorrupted as error:
            raise EvidenceMissing(f"{name} is damaged: {error}") from error
        if complaint is not None and complaint[0]:
            raise EvidenceMissing(f"{name} is damaged: {complaint[0]}")
    return len(rows)
