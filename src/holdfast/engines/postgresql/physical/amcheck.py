"""Lets PostgreSQL's own checker read every table and index of a database.

Its functions are made in a transaction that is rolled back, so the database stays as it was.
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

_FUNCTIONS = """
CREATE FUNCTION pg_temp.verify_heapam(
    relation regclass, on_error_stop boolean DEFAULT false, check_toast boolean DEFAULT false,
    skip text DEFAULT 'none', startblock bigint DEFAULT NULL, endblock bigint DEFAULT NULL,
    OUT blkno bigint, OUT offnum integer, OUT attnum integer, OUT msg text
) RETURNS SETOF record AS '$libdir/amcheck', 'verify_heapam' LANGUAGE c;
CREATE FUNCTION pg_temp.bt_index_check(index regclass, heapallindexed boolean DEFAULT false)
RETURNS void AS '$libdir/amcheck', 'bt_index_check' LANGUAGE c STRICT;
"""


def verify(session: Session, guard: Guard) -> Mapping[str, object]:
    """Counts what was checked. EvidenceMissing names the first table or index that is damaged."""
    available = session.execute(
        "SELECT 1 FROM pg_available_extensions WHERE name = 'amcheck'"
    ).fetchone()
    if available is None:
        return {"amcheck": "not installed on this machine"}
    with session.transaction(force_rollback=True):
        make_functions(session)
        check_table = "SELECT msg FROM pg_temp.verify_heapam({}) LIMIT 1"
        tables = _check_each(session, guard, _TABLES, check_table)
        indexes = _check_each(session, guard, _INDEXES, "SELECT pg_temp.bt_index_check({})::text")
    return {"tables": tables, "indexes": indexes}


def make_functions(session: Session) -> None:
    """Makes amcheck's functions in the schema of this session, for a transaction rolled back.

    So an extension, or functions of those names, that the owner has are never called, and several
    sessions check at a time: the extension itself could be made by one only. Declared as in
    amcheck 1.3, PostgreSQL's 14; later majors take these calls, too.
    """
    session.execute(_FUNCTIONS)


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
