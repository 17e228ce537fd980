"""Counts rows per table and objects per kind.

Rows of system-versioned tables are counted with their history where a dump has it. Tables whose
rows are elsewhere (FEDERATED, MERGE and the like) count as objects only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdfast.contracts.engine import Address, Inventory, Table
from holdfast.engines.mysql.client import facts
from holdfast.engines.mysql.client.address import connect
from holdfast.engines.mysql.client.connection import Session, quote_qualified
from holdfast.engines.mysql.client.server_errors import translated
from holdfast.engines.mysql.client.tools import MARIADB, version_parts

CODE = ("views", "procedures", "functions", "packages", "triggers", "events")
"""Kinds that a restore creates in place, after the tables have moved."""

_OBJECTS = """
SELECT 'indexes', count(DISTINCT table_name, index_name) FROM information_schema.statistics
 WHERE table_schema = %s
UNION ALL SELECT 'foreign keys', count(*) FROM information_schema.referential_constraints
 WHERE constraint_schema = %s
UNION ALL SELECT 'triggers', count(*) FROM information_schema.triggers WHERE trigger_schema = %s
UNION ALL SELECT 'events', count(*) FROM information_schema.events WHERE event_schema = %s
UNION ALL SELECT CASE routine_type WHEN 'FUNCTION' THEN 'functions'
                 WHEN 'PROCEDURE' THEN 'procedures' ELSE 'packages' END, count(*)
 FROM information_schema.routines WHERE routine_schema = %s GROUP BY 1
"""
_KINDS = {"VIEW": "views", "SEQUENCE": "sequences"}


@dataclass(frozen=True)
class Count:
    """One database, counted in one snapshot."""

    tables: Sequence[Table]
    objects: Mapping[str, int]


def keeps_history(flavour: str, version: str) -> bool:
    """Whether a dump can write rows of the past into a system-versioned table."""
    return flavour == MARIADB and version_parts(version) >= (10, 11)


def count(session: Session, database: str, recorded: str, *, history: bool) -> Count:
    """Counts in the session's current transaction, under the name `recorded`."""
    tables = facts.tables(session, database)
    objects = {str(kind): int(n) for kind, n in session.rows(_OBJECTS, [database] * 5) if n}
    counted: list[Table] = []
    for table in tables:
        kind = _KINDS.get(table["type"], "tables")
        objects[kind] = objects.get(kind, 0) + 1
        if table["type"] not in facts.TABLE_TYPES or table["engine"] in facts.NO_DATA:
            continue
        past = " FOR SYSTEM_TIME ALL" if history and table["type"] == facts.VERSIONED else ""
        quoted = quote_qualified(database, table["name"])
        # Rolling back to the savepoint releases the table's metadata lock.
        session.execute("SAVEPOINT counted")
        rows = session.value(f"SELECT count(*) FROM {quoted}{past}")  # noqa: S608
        session.execute("ROLLBACK TO SAVEPOINT counted")
        counted.append(Table(recorded, table["name"], int(rows)))
    return Count(counted, objects)


def merge(counts: Mapping[str, Count]) -> Inventory:
    """One inventory of all databases; the keys are their names."""
    return Inventory(
        tables=[table for one in counts.values() for table in one.tables],
        objects={database: one.objects for database, one in counts.items()},
    )


def begin_snapshot(session: Session) -> None:
    session.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    session.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")


def inventory(address: Address) -> Inventory:
    """All user databases, in one snapshot."""
    with translated(), connect(address) as session:
        server = facts.server(session)
        history = keeps_history(server["flavour"], server["version"])
        begin_snapshot(session)
        return merge(
            {
                str(database["name"]): count(
                    session, database["name"], database["name"], history=history
                )
                for database in facts.databases(session)
            }
        )
