"""A database file as SQL text that the stock `sqlite3` shell reads.

As `.dump` writes it, with what `.dump` loses: texts with NUL bytes or that are no UTF-8, rowids
that no column shows, page size, encoding, `auto_vacuum`, `user_version` and `application_id`.
Virtual tables are created as they were, and then their shadow tables filled, so that loading
never writes to the schema by hand. Every row is one line.
"""

import sqlite3
from collections.abc import Iterator

from holdfast.engines.sqlite.rows import inserted, quote
from holdfast.engines.sqlite.tables import Stored, identifier, stored

FIRST = "PRAGMA foreign_keys=OFF;\n"
LAST = "COMMIT;\n"
_BEFORE = ("encoding", "page_size", "auto_vacuum")
_AFTER = ("user_version", "application_id")


def statements(session: sqlite3.Connection, encoding: str) -> Iterator[str]:
    """In pieces of some rows each; the whole is one consistent script."""
    session.text_factory = str
    yield FIRST
    for name in _BEFORE:
        yield f"PRAGMA {name}={_pragma(session, name)};\n"
    yield "BEGIN TRANSACTION;\n"
    tables = {table.name: table for table in stored(session)}
    virtual = _of_type(session, "sql LIKE 'CREATE VIRTUAL TABLE%'")
    shadows = _shadows(session)
    for name, sql in _of_type(session, "type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL TABLE%'"):
        if name in tables and name not in shadows and not name.startswith("sqlite_"):
            yield f"{_ended(sql)}"
            yield from inserted(session, tables[name], encoding)
    for _, sql in virtual:
        yield _ended(sql)
    for name in shadows:
        yield f"DELETE FROM {identifier(name)};\n"  # noqa: S608 - a line of the dump
        yield from inserted(session, tables[name], encoding)
    yield from _bookkeeping(session, tables, encoding)
    for _, sql in _of_type(session, "type IN ('index', 'trigger', 'view') AND sql IS NOT NULL"):
        yield _ended(sql)
    for name in _AFTER:
        yield f"PRAGMA {name}={_pragma(session, name)};\n"
    yield LAST


def _pragma(session: sqlite3.Connection, name: str) -> str:
    """A number, or a quoted name of an encoding."""
    value = session.execute(f"PRAGMA {name}").fetchone()[0]
    return quote(value) if isinstance(value, str) else str(value)


def _of_type(session: sqlite3.Connection, condition: str) -> list[tuple[str, str]]:
    query = f"SELECT name, sql FROM sqlite_schema WHERE {condition} ORDER BY rowid"  # noqa: S608
    return [(str(name), str(sql)) for name, sql in session.execute(query)]


def _shadows(session: sqlite3.Connection) -> list[str]:
    query = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow'"
    return sorted(str(name) for (name,) in session.execute(query))


def _ended(sql: str) -> str:
    """A comment at the end must not swallow the semicolon."""
    return f"{sql}\n;\n" if "--" in sql.rpartition("\n")[2] else f"{sql};\n"


def _bookkeeping(
    session: sqlite3.Connection, tables: dict[str, Stored], encoding: str
) -> Iterator[str]:
    if "sqlite_sequence" in tables:
        yield "DELETE FROM sqlite_sequence;\n"
        yield from inserted(session, tables["sqlite_sequence"], encoding)
    if "sqlite_stat1" in tables:
        yield "ANALYZE sqlite_schema;\nDELETE FROM sqlite_stat1;\n"
        yield from inserted(session, tables["sqlite_stat1"], encoding)
