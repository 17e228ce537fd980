"""Lists, counts and checks the tables of a database file."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.contracts.engine import Inventory, Table
from holdfast.engines.sqlite.client import application
from holdfast.engines.sqlite.client.application import MAIN

_DATA_TABLES = ("sqlite_sequence", "sqlite_stat1")
_CACHE_KIBIBYTES = 16 << 10


@dataclass(frozen=True)
class StoredTable:
    """A table with rows of its own. `rowid` is a name of the rowid that no column has, or None."""

    name: str
    columns: Sequence[str]
    rowid: str | None

    @property
    def quoted(self) -> str:
        return identifier(self.name)

    @property
    def selected(self) -> Sequence[str]:
        names = [identifier(column) for column in self.columns]
        return names if self.rowid is None else [self.rowid, *names]


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def stored_tables(session: sqlite3.Connection) -> list[StoredTable]:
    """Ordinary and shadow tables, and SQLite's own that data depends on, in the schema's order.

    The shadow tables of a virtual table without its module are ordinary ones.
    """
    kinds = {
        str(name): (str(kind), bool(without))
        for name, kind, without in session.execute(
            "SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main'"
        )
    }
    tables: list[StoredTable] = []
    for (name,) in session.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid"
    ).fetchall():
        kind, without_rowid = kinds.get(name, ("virtual", False))
        if kind == "virtual" or (name.startswith("sqlite_") and name not in _DATA_TABLES):
            continue
        rows = session.execute(
            "SELECT name, type, pk, hidden FROM pragma_table_xinfo(?)", [name]
        ).fetchall()
        columns = [str(column) for column, _, _, hidden in rows if not hidden]
        keys = [str(key_type).upper() for _, key_type, key, _ in rows if key]
        names = {str(column).lower() for column, *_ in rows}
        free = next((alias for alias in ("rowid", "_rowid_", "oid") if alias not in names), None)
        has_own = not without_rowid and keys != ["INTEGER"] and not name.startswith("sqlite_")
        tables.append(StoredTable(name, columns, free if has_own else None))
    return tables


def inventory(session: sqlite3.Connection) -> Inventory:
    """Counts the rows of every stored table, and the objects of each kind."""
    application.add_stand_ins(session)
    tables: list[Table] = []
    for table in stored_tables(session):
        query = f"SELECT count(*) FROM {table.quoted}"  # noqa: S608 - quoted as SQLite wants it
        tables.append(Table(MAIN, table.name, int(session.execute(query).fetchone()[0])))
    kinds = session.execute(
        "SELECT type, count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        " GROUP BY type"
    )
    return Inventory(tables, {MAIN: {str(kind): int(count) for kind, count in kinds}})


def find_damage(session: sqlite3.Connection) -> str | None:
    """What `integrity_check` finds wrong; None when nothing.

    Indexes and checks that need a collation or function of an application cannot be checked: for
    their tables `quick_check` proves the structure only. A copy is checked the same way when it is
    taken and when it is put back.

    The check looks up every row in every index, which takes up to twice as long in SQLite's default
    cache of 2 MB. Much more cache does not help: it is no faster than the system's.
    """
    session.execute(f"PRAGMA cache_size=-{_CACHE_KIBIBYTES}")
    stand_ins = application.add_stand_ins(session)
    if not stand_ins:
        return _complaints(session, "PRAGMA integrity_check(5)")
    problem = _complaints(session, "PRAGMA quick_check(5)")
    for table in list(application.tables_without(session, stand_ins)):
        problem = problem or _complaints(session, f"PRAGMA integrity_check({identifier(table)})")
    return problem


_NO_DAMAGE = ("ok", "CHECK constraint failed in ")
"""Rows may be older than a CHECK constraint, which may also need the application's functions."""


def _complaints(session: sqlite3.Connection, check: str) -> str | None:
    lines = [str(row[0]) for row in session.execute(check)]
    return "; ".join(line for line in lines if not line.startswith(_NO_DAMAGE)) or None
