"""Counts what a database holds: rows per table, objects per kind.

System objects and members of extensions are left out, and so is what PostgreSQL derives by
itself (array types, row types, not-null constraints, which became objects only in 18): the same
dump must count the same in every major. Partitions are counted at their leaves, foreign tables
not at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from holdfast.contracts.engine import Inventory, Table
from holdfast.engines.postgresql.address import Session

Name = tuple[str, str]
"""Schema and table."""

_TOGETHER = 50
"""Tables that are locked at a time: a server has room for some thousands of locks, and `pg_dump`
takes one on each table."""

USER_SCHEMA = sql.SQL("n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'")

_TABLES = """
SELECT n.nspname, c.relname
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND {user_schema}
   AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                      AND d.deptype = 'e')
 ORDER BY 1, 2
"""

_OBJECTS = """
WITH member AS (
  SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), relation AS (
  SELECT c.oid, c.relkind
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE {user_schema} AND c.relpersistence <> 't'
     AND ('pg_class'::regclass, c.oid) NOT IN (SELECT classid, objid FROM member)
), thing (kind, total) AS (
  SELECT CASE relkind WHEN 'r' THEN 'tables' WHEN 'p' THEN 'partitioned tables'
                      WHEN 'v' THEN 'views' WHEN 'm' THEN 'materialized views'
                      WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'foreign tables'
                      WHEN 'c' THEN 'composite types' ELSE 'indexes' END, count(*)
    FROM relation GROUP BY 1
  UNION ALL
  SELECT 'functions', count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
   WHERE {user_schema}
     AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass
                        AND d.objid = p.oid AND d.deptype IN ('e', 'i'))
  UNION ALL
  SELECT 'triggers', count(*) FROM pg_trigger t JOIN relation r ON r.oid = t.tgrelid
   WHERE NOT t.tgisinternal
  UNION ALL
  SELECT 'event triggers', count(*) FROM pg_event_trigger e
   WHERE ('pg_event_trigger'::regclass, e.oid) NOT IN (SELECT classid, objid FROM member)
  UNION ALL
  SELECT 'constraints', count(*) FROM pg_constraint k JOIN relation r ON r.oid = k.conrelid
   WHERE k.contype <> 'n' AND k.conparentid = 0
  UNION ALL
  SELECT 'policies', count(*) FROM pg_policy p JOIN relation r ON r.oid = p.polrelid
  UNION ALL
  SELECT 'types', count(*) FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
   WHERE {user_schema} AND t.typtype IN ('e', 'd', 'r')
     AND ('pg_type'::regclass, t.oid) NOT IN (SELECT classid, objid FROM member)
  UNION ALL
  SELECT 'schemas', count(*) FROM pg_namespace n
   WHERE {user_schema}
     AND ('pg_namespace'::regclass, n.oid) NOT IN (SELECT classid, objid FROM member)
  UNION ALL
  SELECT 'extensions', count(*) FROM pg_extension
  UNION ALL
  SELECT 'large objects', count(*) FROM pg_largeobject_metadata
)
SELECT kind, total FROM thing WHERE total > 0 ORDER BY kind
"""


@dataclass(frozen=True)
class Count:
    """One database, counted in one snapshot."""

    tables: Sequence[Table]
    objects: Mapping[str, int]


def count(session: Session, database: str, known: Mapping[Name, int] | None = None) -> Count:
    """Counts in the session's current transaction; `database` is the name to record.

    `known` are rows that were counted before, and can be no others by now.
    """
    names = session.execute(sql.SQL(_TABLES).format(user_schema=USER_SCHEMA)).fetchall()
    objects = session.execute(sql.SQL(_OBJECTS).format(user_schema=USER_SCHEMA)).fetchall()
    found = dict(known or {})
    new = [name for name in names if name not in found]
    for start in range(0, len(new), _TOGETHER):
        some = new[start : start + _TOGETHER]
        with session.transaction(force_rollback=True):  # that gives the locks of tables back
            found |= {(schema, table): rows(session, schema, table) for schema, table in some}
    tables = [Table(database, ".".join(name), found[name]) for name in names]
    return Count(tables, dict(objects))


def rows(session: Session, schema: str, table: str) -> int:
    # ONLY: rows of inheritance children are counted where they live.
    statement = sql.SQL("SELECT count(*) FROM ONLY {}").format(sql.Identifier(schema, table))
    row = session.execute(statement).fetchone()
    assert row is not None
    return int(row[0])


def merged(counts: Mapping[str, Count]) -> Inventory:
    """One inventory of all databases; the keys are their names."""
    return Inventory(
        tables=[table for one in counts.values() for table in one.tables],
        objects={database: one.objects for database, one in counts.items()},
    )
