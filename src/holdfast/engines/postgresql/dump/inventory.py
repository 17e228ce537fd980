"""Counts rows per table and objects per kind of a database, as far as an archive contains them.

Left out are system objects, members of extensions and what hangs on their tables (`pg_dump` dumps
none of it), indexes that are not valid, and what PostgreSQL derives by itself: array types, row
types, not-null constraints, triggers and constraints that a partition or a child has from its
parent, rows that a standby cannot read. The same dump must count the same in every major.

Partitions are counted one by one and compared by their root: a row's partition may depend on what
differs between servers, as the hash of an enum does. Foreign tables are not counted.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from holdfast.contracts.engine import Inventory, Table
from holdfast.engines.postgresql.client.address import Session
from holdfast.engines.postgresql.client.name_bytes import quoted, readable

Name = tuple[str, str]
"""Schema and table."""

COUNTING_VERSION = 2
"""Recorded in each dump. Dumps without it counted more objects."""

RECOUNTED_KINDS = frozenset({"constraints", "extensions", "indexes", "schemas", "triggers"})
"""Kinds of objects that earlier versions counted differently."""

_TABLES_PER_TRANSACTION = 50
"""Tables locked at a time: a server has room for some thousands of locks, and `pg_dump` takes one
on each table."""

USER_SCHEMA = sql.SQL("n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'")

_TABLES = """
SELECT n.nspname, c.relname, m.nspname, r.relname
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_class r ON c.relispartition AND r.oid = pg_partition_root(c.oid)
  LEFT JOIN pg_namespace m ON m.oid = r.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND {user_schema}
   AND NOT (c.relpersistence = 'u' AND pg_is_in_recovery())
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
     AND NOT EXISTS (SELECT FROM pg_index i
                      WHERE i.indexrelid = c.oid
                        AND (NOT i.indisready OR NOT (i.indisvalid OR c.relkind = 'I')
                             OR ('pg_class'::regclass, i.indrelid)
                                IN (SELECT classid, objid FROM member)))
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
   WHERE NOT t.tgisinternal AND t.tgparentid = 0
  UNION ALL
  SELECT 'event triggers', count(*) FROM pg_event_trigger e
   WHERE ('pg_event_trigger'::regclass, e.oid) NOT IN (SELECT classid, objid FROM member)
  UNION ALL
  SELECT 'constraints', count(*) FROM pg_constraint k JOIN relation r ON r.oid = k.conrelid
   WHERE k.contype NOT IN ('n', 't') AND k.conparentid = 0 AND k.coninhcount = 0
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
  SELECT 'extensions', count(*) FROM pg_extension WHERE extname <> 'plpgsql'
  UNION ALL
  SELECT 'large objects', count(*) FROM pg_largeobject_metadata
)
SELECT kind, total FROM thing WHERE total > 0 ORDER BY kind
"""

RowCounter = Callable[[Session, str, str], int]
"""Counts the rows of the table of that schema and name."""


@dataclass(frozen=True)
class Count:
    """One database, counted in one snapshot. `uncounted`: errors of tables that could not be."""

    tables: Sequence[Table]
    objects: Mapping[str, int]
    uncounted: Mapping[Name, psycopg.Error]


def count(
    session: Session,
    database: str,
    counted_before: Mapping[Name, int] | None = None,
    *,
    fallback: RowCounter | None = None,
) -> Count:
    """Counts in the session's current transaction; `database` is the name to record.

    `counted_before` are rows of tables that cannot have changed since. `fallback` counts a table
    that cannot be queried; without it such a table is uncounted.
    """
    listed = session.execute(sql.SQL(_TABLES).format(user_schema=USER_SCHEMA)).fetchall()
    objects = session.execute(sql.SQL(_OBJECTS).format(user_schema=USER_SCHEMA)).fetchall()
    roots = {(schema, name): (above, root) for schema, name, above, root in listed}
    counted, uncounted = dict(counted_before or {}), dict[Name, psycopg.Error]()
    pending = [name for name in roots if name not in counted]
    for start in range(0, len(pending), _TABLES_PER_TRANSACTION):
        batch = pending[start : start + _TABLES_PER_TRANSACTION]
        try:
            counted |= _count_tables(session, batch, count_rows)
        except psycopg.Error as error:
            _require_alive(session, error)
            _count_singly(session, batch, fallback, counted, uncounted)
    tables = [
        Table(database, dotted(name), counted[name], root=dotted(root) if root[1] else "")
        for name, root in roots.items()
        if name in counted
    ]
    return Count(tables, dict(objects), uncounted)


def _count_tables(
    session: Session, names: Iterable[Name], count_one: RowCounter
) -> Mapping[Name, int]:
    with session.transaction(force_rollback=True):  # releases the locks of the tables
        return {name: count_one(session, *name) for name in names}


def _count_singly(
    session: Session,
    names: Iterable[Name],
    fallback: RowCounter | None,
    counted: dict[Name, int],
    uncounted: dict[Name, psycopg.Error],
) -> None:
    """Counts each table by itself, so that one that fails leaves the others counted.

    Planning a query evaluates functions in the table's indexes, which may need the search path of
    the table's users. We do not run their functions with a path of our choice instead.
    """
    for name in names:
        for counter in filter(None, (count_rows, fallback)):
            try:
                counted |= _count_tables(session, [name], counter)
            except psycopg.Error as error:
                _require_alive(session, error)
                uncounted.setdefault(name, error)
            else:
                uncounted.pop(name, None)
                break


def _require_alive(session: Session, error: psycopg.Error) -> None:
    if session.broken or isinstance(error, psycopg.errors.QueryCanceled):
        raise error


def count_rows(session: Session, schema: str, table: str) -> int:
    # ONLY: rows of inheritance children are counted in their own tables.
    statement = b"SELECT count(*) FROM ONLY " + quoted(schema, table)
    row = session.execute(statement).fetchone()
    assert row is not None
    return int(row[0])


def count_rows_by_copy(session: Session, schema: str, table: str) -> int:
    """Counts rows as `pg_dump` reads them, without a query plan. Slower, for whole rows are sent.

    For a transaction that is rolled back, in a database without other sessions: row security that
    the session's user is subject to is lifted meanwhile.
    """
    name = quoted(schema, table)
    active = session.execute(
        "SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE row_security_active(c.oid) AND n.nspname = %s AND c.relname = %s",
        [readable(schema), readable(table)],
    )
    if active.fetchone() is not None:
        session.execute(b"ALTER TABLE %b DISABLE ROW LEVEL SECURITY" % name)
    with (
        session.cursor() as cursor,
        cursor.copy(b"COPY %b TO STDOUT" % name) as out,
    ):
        return sum(bytes(block).count(b"\n") for block in out)


def table_names(session: Session) -> set[str]:
    """The names of the tables, as an inventory has them."""
    listed = session.execute(sql.SQL(_TABLES).format(user_schema=USER_SCHEMA))
    return {dotted((schema, name)) for schema, name, *_ in listed}


def dotted(name: Name) -> str:
    return readable(".".join(name))


def merge(counts: Mapping[str, Count]) -> Inventory:
    """One inventory of all databases, by their names."""
    return Inventory(
        tables=[table for database_count in counts.values() for table in database_count.tables],
        objects={database: database_count.objects for database, database_count in counts.items()},
    )
