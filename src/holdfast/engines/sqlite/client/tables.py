"""What a database file holds, table by table."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.contracts.engine import Inventory, Table
from holdfast.engines.sqlite.client import application
from holdfast.engines.sqlite.client.application import MAIN

_BOOKKEEPING = ("sqlite_sequence", "sqlite_stat1")
_CACHE_KIB = 16 << 10


@dataclass(frozen=True)
class Stored:
    """A table with rows of its own. `rowid` is a name for it that no column has, None without."""

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


def stored(session: sqlite3.Connection) -> list[Stored]:
    """Ordinary and shadow tables and SQLite's own that data depends on, in the schema's order.

    Of a virtual table whose module is not here the shadow tables are ordinary ones.
    """
    kinds = {
        str(name): (str(kind), bool(without))
        for name, kind, without in session.execute(
            "SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main'"
        )
    }
    tables: list[Stored] = []
    for (name,) in session.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid"
    ).fetchall():
        kind, without_rowid = kinds.get(name, ("virtual", False))
        if kind == "virtual" or (name.startswith("sqlite_") and name not in _BOOKKEEPING):
            continue
        tables.append(_stored(session, name, without_rowid=without_rowid))
    return tables


def _stored(session: sqlite3.Connection, name: str, *, without_rowid: bool) -> Stored:
    """Generated columns and hidden ones are not stored."""
    rows = session.execute(
        "SELECT name, type, pk, hidden FROM pragma_table_xinfo(?)", [name]
    ).fetchall()
    columns = [str(column) for column, _, _, hidden in rows if not hidden]
    keys = [str(kind).upper() for _, kind, key, _ in rows if key]
    column_names = {str(column).lower() for column, *_ in rows}
    free = next((alias for alias in ("rowid", "_rowid_", "oid") if alias not in column_names), None)
    has_own = not without_rowid and keys != ["INTEGER"] and not name.startswith("sqlite_")
    return Stored(name, columns, free if has_own else None)


def inventory(session: sqlite3.Connection) -> Inventory:
    """Rows of every stored table, and how many objects of each kind there are."""
    application.teach(session)
    tables = [Table(MAIN, table.name, _rows(session, table)) for table in stored(session)]
    kinds = session.execute(
        "SELECT type, count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        " GROUP BY type"
    )
    return Inventory(tables, {MAIN: {str(kind): int(count) for kind, count in kinds}})


def _rows(session: sqlite3.Connection, table: Stored) -> int:
    query = f"SELECT count(*) FROM {table.quoted}"  # noqa: S608 - quoted as SQLite wants it
    return int(session.execute(query).fetchone()[0])


def require_sound(session: sqlite3.Connection) -> str | None:
    """What `integrity_check` found wrong, None when nothing.

    Indexes and checks that need a collation or function of an application cannot be looked at: of
    their tables it is the structure that is sound, as `quick_check` sees it. The same is asked of a
    copy when it is taken and when it is put back.

    It looks up every row in every index, so it can take twice as long in SQLite's own 2 MB of
    cache. Much more does not help: it is no nearer to the processor than the system's cache.
    """
    session.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
    taught = application.teach(session)
    if not taught:
        return _said(session, "PRAGMA integrity_check(5)")
    problem = _said(session, "PRAGMA quick_check(5)")
    for table in list(application.tables_without(session, taught)):
        problem = problem or _said(session, f"PRAGMA integrity_check({identifier(table)})")
    return problem


_NO_DAMAGE = ("ok", "CHECK constraint failed in ")
"""Rows may be older than a check, and a check may need a function of the application."""


def _said(session: sqlite3.Connection, check: str) -> str | None:
    lines = [str(row[0]) for row in session.execute(check)]
    return "; ".join(line for line in lines if not line.startswith(_NO_DAMAGE)) or None
