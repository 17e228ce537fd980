"""Virtual tables of modules, or with tokenizers, that only an application has.

Such a table cannot be made here. A dump has the tables that its module keeps its content in, as
ordinary ones, and the definition apart: whoever has the module notes it in the schema again.
"""

import re
import sqlite3
from collections.abc import Mapping

from holdfast.contracts.engine import Skipped
from holdfast.engines.sqlite.client.application import MAIN
from holdfast.engines.sqlite.client.literals import quote

KNOWN = frozenset(["fts3", "fts4", "fts5", "rtree", "rtree_i32", "geopoly"])
"""Those that a load may make: they touch nothing but the file."""

USING = re.compile(
    r"CREATE\s+VIRTUAL\s+TABLE\s.*?\bUSING\s+[\"'`\[]?(\w+)", re.IGNORECASE | re.DOTALL
)
_UNMAKABLE = re.compile(r"no such module|no such tokenizer|unknown tokenizer", re.IGNORECASE)


def unmakable(session: sqlite3.Connection) -> dict[str, str]:
    """Definitions of the file's virtual tables that no load can make, by name."""
    query = "SELECT name, sql FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL TABLE%'"
    return {
        str(name): str(sql)
        for name, sql in session.execute(query).fetchall()
        if _is_unmakable(session, str(name), str(sql))
    }


def _is_unmakable(session: sqlite3.Connection, name: str, sql: str) -> bool:
    module = USING.match(sql)
    if module is None or module[1].lower() not in KNOWN:
        return True
    try:
        session.execute("SELECT count(*) FROM pragma_table_xinfo(?)", [name]).fetchone()
    except sqlite3.Error as error:
        return _UNMAKABLE.search(str(error)) is not None
    return False


def left_out(definitions: Mapping[str, str]) -> list[Skipped]:
    """Its rows are there all the same: in the tables that the module made for it."""
    return [
        Skipped(
            MAIN,
            "table",
            name,
            "a virtual table of a module or tokenizer of the application; its content is in its own"
            f" tables, which are restored. To have it back run there: {_noting(name, sql)}",
        )
        for name, sql in definitions.items()
    ]


def _noting(name: str, sql: str) -> str:
    values = f"'table', {quote(name)}, {quote(name)}, 0, {quote(sql)}"
    return "; ".join(
        [
            "PRAGMA writable_schema=ON",
            f"INSERT INTO sqlite_schema VALUES ({values})",  # noqa: S608 - quoted, for people
            "PRAGMA writable_schema=RESET",
        ]
    )
