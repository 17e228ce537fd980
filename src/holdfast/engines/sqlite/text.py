"""A database file as SQL text that the stock `sqlite3` shell reads.

As `.dump` writes it, with what `.dump` loses: texts with NUL bytes or that are no UTF-8, rowids
that no column shows, page size, encoding, `auto_vacuum`, `user_version` and `application_id`.
Virtual tables are created as they were, and then their shadow tables filled, so that loading
never writes to the schema by hand. Every row is one line.
"""

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from holdfast.engines.sqlite.tables import Stored, identifier, stored

FIRST = "PRAGMA foreign_keys=OFF;\n"
LAST = "COMMIT;\n"
_ROWS = 256
_TOGETHER = 1 << 20
"""Characters of rows in one statement: reading a statement costs more than reading a row."""
_BEFORE = ("encoding", "page_size", "auto_vacuum")
_AFTER = ("user_version", "application_id")


class _Text(bytes):
    """What SQLite says is text, apart from what it says is a blob."""


def statements(session: sqlite3.Connection, encoding: str) -> Iterator[str]:
    """In pieces of some rows each; the whole is one consistent script."""
    session.text_factory = str
    yield FIRST
    for name in _BEFORE:
        yield f"PRAGMA {name}={literal(_pragma(session, name))};\n"
    yield "BEGIN TRANSACTION;\n"
    tables = {table.name: table for table in stored(session)}
    virtual = _of_type(session, "sql LIKE 'CREATE VIRTUAL TABLE%'")
    shadows = _shadows(session)
    for name, sql in _of_type(session, "type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL TABLE%'"):
        if name in tables and name not in shadows and not name.startswith("sqlite_"):
            yield f"{_ended(sql)}"
            yield from _rows(session, tables[name], encoding)
    for _, sql in virtual:
        yield _ended(sql)
    for name in shadows:
        yield f"DELETE FROM {identifier(name)};\n"  # noqa: S608 - a line of the dump
        yield from _rows(session, tables[name], encoding)
    yield from _bookkeeping(session, tables, encoding)
    for _, sql in _of_type(session, "type IN ('index', 'trigger', 'view') AND sql IS NOT NULL"):
        yield _ended(sql)
    for name in _AFTER:
        yield f"PRAGMA {name}={literal(_pragma(session, name))};\n"
    yield LAST


def _pragma(session: sqlite3.Connection, name: str) -> Any:
    return session.execute(f"PRAGMA {name}").fetchone()[0]


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
        yield from _rows(session, tables["sqlite_sequence"], encoding)
    if "sqlite_stat1" in tables:
        yield "ANALYZE sqlite_schema;\nDELETE FROM sqlite_stat1;\n"
        yield from _rows(session, tables["sqlite_stat1"], encoding)


def _rows(session: sqlite3.Connection, table: Stored, encoding: str) -> Iterator[str]:
    """SQLite writes the lines itself where it can: that is several times faster."""
    head = f"INSERT INTO {table.quoted}({','.join(table.selected)}) VALUES\n"
    session.text_factory = bytes
    written = session.execute(_written(table))
    careful = _Careful(session, table, encoding)
    while rows := written.fetchmany(_ROWS):
        lines = [line for (line,) in rows]
        try:
            text = b",\n".join(lines).decode()
        except (TypeError, UnicodeDecodeError):
            text = "\r"
        if text.count("\n") == len(lines) - 1 and "\r" not in text and len(text) < _TOGETHER:
            careful.passed += len(lines)
            yield f"{head}{text};\n"
        else:
            yield from (f"{head}{line};\n" for line in careful.lines(len(lines)))
    session.text_factory = str


_LARGEST = 1.7976931348623157e308


def _written(table: Stored) -> str:
    """A query for each row's line; NULL where `quote` does not give exactly the value."""
    values = " || ',' || ".join(f"quote({each})" for each in table.selected)
    doubtful = " OR ".join(
        f"CASE typeof({each}) WHEN 'text' THEN instr({each}, char(0)) > 0"
        f" WHEN 'real' THEN abs({each}) > {_LARGEST!r} OR {each} = 0 ELSE 0 END"
        for each in table.selected
    )
    line = f"'(' || {values} || ')'"
    return f"SELECT CASE WHEN {doubtful} THEN NULL ELSE {line} END FROM {_scanned(table)}"  # noqa: S608


def _scanned(table: Stored) -> str:
    """Always in the same order: an index that holds all columns could be read instead."""
    return f"{table.quoted} NOT INDEXED"


class _Careful:
    """The same rows, value by value; `passed` of them were written otherwise."""

    def __init__(self, session: sqlite3.Connection, table: Stored, encoding: str) -> None:
        self._session = session
        self._query = f"SELECT {','.join(table.selected)} FROM {_scanned(table)}"  # noqa: S608
        self._encoding = encoding
        self._cursor: sqlite3.Cursor | None = None
        self.passed = 0

    def lines(self, count: int) -> list[str]:
        self._session.text_factory = _Text
        if self._cursor is None:
            self._cursor = self._session.execute(self._query)
        while self.passed:
            self.passed -= len(self._cursor.fetchmany(min(self.passed, _ROWS)))
        rows = self._cursor.fetchmany(count)
        self._session.text_factory = bytes
        return [f"({','.join([literal(value, self._encoding) for value in row])})" for row in rows]


def literal(value: Any, encoding: str = "UTF-8") -> str:
    """A value as SQL that gives exactly it."""
    if type(value) is _Text:
        return _text(value, encoding)
    return _WRITERS[type(value)](value)


def _float(value: float) -> str:
    return repr(value) if abs(value) != float("inf") else f"{'-' * (value < 0)}9.0e+999"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


_WRITERS: Mapping[type, Callable[[Any], str]] = {
    type(None): lambda _: "NULL",
    int: str,
    float: _float,
    str: _quoted,
    bytes: lambda value: f"X'{value.hex()}'",
}
_SPECIAL = re.compile("[\0\n\r']")


def _text(value: bytes, encoding: str) -> str:
    """Lines and what no shell reads become functions, so that a row stays one line of UTF-8."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return f"CAST(X'{value.hex()}' AS TEXT)"
    if _SPECIAL.search(text) is None:
        return f"'{text}'"
    if "\0" in text:
        return f"CAST(X'{text.encode(encoding.lower()).hex()}' AS TEXT)"
    quoted = _quoted(text)
    for character, code in (("\n", 10), ("\r", 13)):
        if character in text:
            token = _token(text, code)
            quoted = f"replace({quoted.replace(character, token)},'{token}',char({code}))"
    return quoted


def _token(text: str, code: int) -> str:
    """Something that does not occur in it."""
    number = 0
    while (token := f"\\{code}{number or ''}\\") in text:
        number += 1
    return token
