"""Writes a database file as SQL text that the stock `sqlite3` shell reads.

The text is that of `.dump`, plus what `.dump` loses: texts with NUL bytes or that are no UTF-8,
rowids that no column shows, page size, encoding, `auto_vacuum`, `user_version` and
`application_id`. Virtual tables are created, then their shadow tables filled, so that loading never
writes to the schema by hand. Every row is one line.
"""

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass

from holdfast.engines.sqlite.client import application, modules
from holdfast.engines.sqlite.client.literals import quote
from holdfast.engines.sqlite.client.tables import StoredTable, identifier, stored_tables
from holdfast.engines.sqlite.dump.row_reader import Reader
from holdfast.engines.sqlite.dump.row_writer import inserted

FIRST = "PRAGMA foreign_keys=OFF;\n"
LAST = "COMMIT;\n"
_PRAGMAS_BEFORE = ("encoding", "page_size", "auto_vacuum")
_PRAGMAS_AFTER = ("user_version", "application_id")


@dataclass(frozen=True)
class _Schema:
    """The schema of a file; objects of a kind in the order of their creation."""

    encoding: str
    pragmas: Mapping[str, str]
    stored_tables: Mapping[str, StoredTable]
    tables: Sequence[tuple[str, str]]
    virtual: Sequence[tuple[str, str]]
    shadows: Sequence[str]
    others: Sequence[tuple[str, str]]


def _schema(session: sqlite3.Connection) -> _Schema:
    pragmas = {
        name: session.execute(f"PRAGMA {name}").fetchone()[0]
        for name in (*_PRAGMAS_BEFORE, *_PRAGMAS_AFTER)
    }
    return _Schema(
        encoding=str(session.execute("PRAGMA encoding").fetchone()[0]),
        # Numbers, or the quoted name of an encoding.
        pragmas={n: quote(v) if isinstance(v, str) else str(v) for n, v in pragmas.items()},
        stored_tables={table.name: table for table in stored_tables(session)},
        tables=_of_type(session, "type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL TABLE%'"),
        virtual=_virtual(session),
        shadows=_shadows(session),
        others=_of_type(session, "type IN ('index', 'trigger', 'view') AND sql IS NOT NULL"),
    )


def statements(reader: Reader) -> Iterator[str]:
    """Yields the script in pieces of some rows each."""
    schema = reader.ask(_schema)
    yield FIRST
    yield from (f"PRAGMA {name}={schema.pragmas[name]};\n" for name in _PRAGMAS_BEFORE)
    yield "BEGIN TRANSACTION;\n"
    for name, sql in schema.tables:
        if (
            name in schema.stored_tables
            and name not in schema.shadows
            and not name.startswith("sqlite_")
        ):
            yield _terminated(sql)
            yield from inserted(reader, schema.stored_tables[name], schema.encoding)
    yield from (_terminated(sql) for _, sql in schema.virtual)
    for name in schema.shadows:
        yield f"DELETE FROM {identifier(name)};\n"  # noqa: S608 - a line of the dump
        yield from inserted(reader, schema.stored_tables[name], schema.encoding)
    if "sqlite_sequence" in schema.stored_tables:
        yield "DELETE FROM sqlite_sequence;\n"
        yield from inserted(reader, schema.stored_tables["sqlite_sequence"], schema.encoding)
    if "sqlite_stat1" in schema.stored_tables:
        yield "ANALYZE sqlite_schema;\nDELETE FROM sqlite_stat1;\n"
        yield from inserted(reader, schema.stored_tables["sqlite_stat1"], schema.encoding)
    yield from (_terminated(sql) for _, sql in schema.others)
    yield from (f"PRAGMA {name}={schema.pragmas[name]};\n" for name in _PRAGMAS_AFTER)
    yield LAST


def _of_type(session: sqlite3.Connection, condition: str) -> list[tuple[str, str]]:
    query = f"SELECT name, sql FROM sqlite_schema WHERE {condition} ORDER BY rowid"  # noqa: S608
    return [(str(name), str(sql)) for name, sql in session.execute(query)]


def _virtual(session: sqlite3.Connection) -> list[tuple[str, str]]:
    """Virtual tables that a load can create."""
    beyond = modules.unsupported(session)
    tables = _of_type(session, "sql LIKE 'CREATE VIRTUAL TABLE%'")
    return [(name, sql) for name, sql in tables if name not in beyond]


def _shadows(session: sqlite3.Connection) -> list[str]:
    """Tables that modules create with their virtual tables, and no others.

    SQLite calls a table a shadow by its name alone, and applications give such names to their own
    tables, among them those from which a full-text index takes its content.
    """
    query = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow'"
    candidates = {str(name) for (name,) in session.execute(query)}
    if not candidates:
        return []
    # The same virtual tables are created in an empty file in memory.
    ordinary = _of_type(session, "type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL TABLE%'")
    created: set[str] = set()
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as empty:
        for name, sql in ordinary:
            if name not in candidates and not name.startswith("sqlite_"):
                with suppress(sqlite3.Error):
                    application.run_with_stand_ins(empty, [], lambda sql=sql: empty.execute(sql))
        for _, sql in _virtual(session):
            before = _names(empty)
            with suppress(sqlite3.Error):
                empty.execute(sql)
            created |= _names(empty) - before
    return sorted(candidates & created)


def _names(session: sqlite3.Connection) -> set[str]:
    return {str(row[0]) for row in session.execute("SELECT name FROM sqlite_schema")}


def _terminated(sql: str) -> str:
    """Appends a semicolon, on a new line after a trailing comment, which would swallow it."""
    pieces = list(_QUOTED_OR_COMMENT.finditer(sql))
    open_comment = pieces and pieces[-1].group()[:2] == "--" and pieces[-1].end() == len(sql)
    return f"{sql}\n;\n" if open_comment else f"{sql};\n"


_QUOTED_OR_COMMENT = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/""", re.DOTALL
)
