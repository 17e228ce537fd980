"""Counts what a database holds: rows per table, objects per kind, as far as an archive promises it.

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

COUNTING = 2
"""The way of counting objects, a fact of a dump. Before it was one, more of them were counted."""

RECOUNTED = frozenset({"constraints", "extensions", "indexes", "schemas", "triggers"})
"""Kinds that were counted otherwise before."""

_TOGETHER = 50
"""Tables that are locked at a time: a server has room for some thousands of locks, and `pg_dump`
takes one on each table."""

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

Rows = Callable[[Session, str, str], int]
"""Rows of the table of that schema and name."""


@dataclass(frozen=True)
class Count:
    """One database, counted in one snapshot. `uncounted`: why tables could not be, by name."""

    tables: Sequence[Table]
    objects: Mapping[str, int]
    uncounted: Mapping[Name, psycopg.Error]


def count(
    session: Session,
    database: str,
    counted_before: Mapping[Name, int] | None = None,
    *,
    fallback: Rows | None = None,
) -> Count:
    """Counts in the session's current transaction; `database` is the name to record.

    `known` are rows that were counted before, and can be no others by now. `otherwise` counts a
    table that cannot be queried; without it such a table is uncounted.
    """
    listed = session.execute(sql.SQL(_TABLES).format(user_schema=USER_SCHEMA)).fetchall()
    objects = session.execute(sql.SQL(_OBJECTS).format(user_schema=USER_SCHEMA)).fetchall()
    roots = {(schema, name): (above, root) for schema, name, above, root in listed}
    counted, uncounted = dict(counted_before or {}), dict[Name, psycopg.Error]()
    pending = [name for name in roots if name not in counted]
    for start in range(0, len(pending), _TOGETHER):
        batch = pending[start : start + _TOGETHER]
        try:
            counted |= _in_turn(session, batch, rows)
        except psycopg.Error as error:
            _require_alive(session, error)
            _one_by_one(session, batch, fallback, counted, uncounted)
    tables = [
        Table(database, dotted(name), counted[name], root=dotted(root) if root[1] else "")
        for name, root in roots.items()
        if name in counted
    ]
    return Count(tables, dict(objects), uncounted)


def _in_turn(session: Session, names: Iterable[Name], count_one: Rows) -> Mapping[Name, int]:
    with session.transaction(force_rollback=True):  # that gives the locks of tables back
        return {name: count_one(session, *name) for name in names}


def _one_by_one(
    session: Session,
    names: Iterable[Name],
    fallback: Rows | None,
    counted: dict[Name, int],
    uncounted: dict[Name, psycopg.Error],
) -> None:
    """To plan a query is to look into what the table's indexes call, and that may need a search
    path which the table's users have. Nothing of theirs runs with one of our choice instead."""
    for name in names:
        try:
            counted |= _in_turn(session, [name], rows)
        except psycopg.Error as error:
            _require_alive(session, error)
            uncounted[name] = error
            if fallback is not None and _counted_otherwise(session, name, fallback, counted):
                del uncounted[name]


def _counted_otherwise(
    session: Session, name: Name, fallback: Rows, counted: dict[Name, int]
) -> bool:
    try:
        counted |= _in_turn(session, [name], fallback)
    except psycopg.Error as error:
        _require_alive(session, error)
        return False
    return True


def _require_alive(session: Session, error: psycopg.Error) -> None:
    if session.broken or isinstance(error, psycopg.errors.QueryCanceled):
        raise error


def rows(session: Session, schema: str, table: str) -> int:
    # ONLY: rows of inheritance children are counted where they live.
    statement = b"SELECT count(*) FROM ONLY " + quoted(schema, table)
    row = session.execute(statement).fetchone()
    assert row is not None
    return int(row[0])


def rows_copied(session: Session, schema: str, table: str) -> int:
    """As `pg_dump` reads them: nothing is planned. Slower, for all of a row is sent.

    For a transaction that is rolled back, in a database that nobody else uses: row security that
    its owner is subject to is lifted meanwhile.
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


def names(session: Session) -> set[str]:
    """The tables, as an inventory names them."""
    listed = session.execute(sql.SQL(_TABLES).format(user_schema=USER_SCHEMA))
    return {dotted((schema, name)) for schema, name, *_ in listed}


def dotted(name: Name) -> str:
    return readable(".".join(name))


def merged(counts: Mapping[str, Count]) -> Inventory:
    """One inventory of all databases; the keys are their names."""
    return Inventory(
        tables=[table for database_count in counts.values() for table in database_count.tables],
        objects={database: database_count.objects for database, database_count in counts.items()},
    )
