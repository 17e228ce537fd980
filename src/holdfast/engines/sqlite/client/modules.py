"""Virtual tables of modules or tokenizers that only an application has.

Such a table cannot be created here. A dump holds the tables in which its module keeps its content,
as ordinary ones, and the definition apart: an application with the module can add it to the schema.
"""

import re
import sqlite3
from collections.abc import Mapping

from holdfast.contracts.engine import Skipped
from holdfast.engines.sqlite.client.application import MAIN
from holdfast.engines.sqlite.client.literals import quote

SUPPORTED = frozenset(["fts3", "fts4", "fts5", "rtree", "rtree_i32", "geopoly"])
"""Modules that a load may use: they touch only the file."""

USING = re.compile(
    r"CREATE\s+VIRTUAL\s+TABLE\s.*?\bUSING\s+[\"'`\[]?(\w+)", re.IGNORECASE | re.DOTALL
)
_UNSUPPORTED_ERROR = re.compile(
    r"no such module|no such tokenizer|unknown tokenizer", re.IGNORECASE
)


def unsupported(session: sqlite3.Connection) -> dict[str, str]:
    """Definitions, by name, of the file's virtual tables that no load can create."""
    query = "SELECT name, sql FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL TABLE%'"
    definitions: dict[str, str] = {}
    for name, sql in session.execute(query).fetchall():
        module = USING.match(str(sql))
        is_supported = module is not None and module[1].lower() in SUPPORTED
        if is_supported:
            try:
                session.execute("SELECT count(*) FROM pragma_table_xinfo(?)", [name]).fetchone()
            except sqlite3.Error as error:
                is_supported = _UNSUPPORTED_ERROR.search(str(error)) is None
        if not is_supported:
            definitions[str(name)] = str(sql)
    return definitions


def skipped_tables(definitions: Mapping[str, str]) -> list[Skipped]:
    """Reports them as skipped; their rows are restored in the tables that the module made."""
    return [
        Skipped(
            MAIN,
            "table",
            name,
            "a virtual table of a module or tokenizer of the application; its content is in its own"
            " tables, which are restored. To have it back run there: PRAGMA writable_schema=ON;"
            f" {_INSERT_ROW.format(name=quote(name), sql=quote(sql))};"
            " PRAGMA writable_schema=RESET",
        )
        for name, sql in definitions.items()
    ]


_INSERT_ROW = "INSERT INTO sqlite_schema VALUES ('table', {name}, {name}, 0, {sql})"
