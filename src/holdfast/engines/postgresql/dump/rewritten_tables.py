"""Finds tables that were rewritten after the snapshot of a dump was exported.

TRUNCATE and an ALTER TABLE that rewrites are not MVCC-safe: a later read with an older snapshot
finds the table empty. pg_dump locks its tables some time after the snapshot was exported. We hold
no locks of our own until then: a TRUNCATE of another session would wait for us, pg_dump would wait
behind it, and nothing would move. Instead we check once pg_dump has its locks, and begin again.
"""

from collections.abc import Collection

from psycopg import sql

from holdfast.engines.postgresql.client.address import Session
from holdfast.engines.postgresql.dump.inventory import USER_SCHEMA, Name

# The row of pg_class is the one of the transaction's snapshot; the function reads the present one.
_REWRITTEN = """
SELECT n.nspname, c.relname
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND {user_schema}
   AND c.relfilenode <> 0 AND pg_relation_filenode(c.oid) IS DISTINCT FROM c.relfilenode
 ORDER BY 1, 2
"""


def export_snapshot(session: Session) -> str:
    """Begins a transaction and exports its snapshot."""
    session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    # Counting must not take more of the server than the dump itself does.
    session.execute("SET LOCAL max_parallel_workers_per_gather = 0")
    row = session.execute("SELECT pg_export_snapshot()").fetchone()
    assert row is not None
    return str(row[0])


def rewritten(session: Session) -> Collection[Name]:
    """Tables that were truncated, rewritten or dropped since the transaction's snapshot."""
    rows = session.execute(sql.SQL(_REWRITTEN).format(user_schema=USER_SCHEMA))
    return [(schema, name) for schema, name in rows]
