"""How the SQL of somebody unknown is run: with bounds, and the schema is not written by hand."""

import re
import sqlite3
from pathlib import Path

from holdfast.engines.sqlite.client.tables import identifier
from holdfast.engines.sqlite.imports.load import STEPS, Reading

_WRITABLE = re.compile(r"PRAGMA\s+writable_schema\s*=\s*\w+\s*;\s*\Z", re.IGNORECASE)
_SCHEMA_ROW = re.compile(
    r"INSERT INTO sqlite_(?:schema|master)\(type,name,tbl_name,rootpage,sql\)\s*"
    r"VALUES\('table','((?:[^']|'')*)','\1',0,'(CREATE VIRTUAL TABLE (?:[^']|'')*)'\);\s*\Z",
    re.IGNORECASE,
)
_STATISTICS = re.compile(r"INSERT INTO (?:\"?)sqlite_stat4\b", re.IGNORECASE)
_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table'"

_STEPS_PER_BYTE, _STEPS_AT_LEAST = 1000, 200_000_000
_BYTES_PER_BYTE, _BYTES_AT_LEAST = 16, 64 << 20


class Stranger(Reading):
    """One text, loaded into `target`."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._steps = 0

    def run(self, session: sqlite3.Connection, statement: str) -> None:
        """EvidenceMissing for a row of the schema that no shell writes."""
        if _WRITABLE.match(statement) or _STATISTICS.match(statement):
            return
        row = _SCHEMA_ROW.match(statement)
        if row is None:
            session.execute(statement)
            return
        name, sql = (part.replace("''", "'") for part in row.groups())
        before = {name, *_tables(session)}
        session.execute(sql)
        for shadow in _tables(session) - before:
            session.execute(f"DELETE FROM {identifier(shadow)}")  # noqa: S608 - quoted

    def greedy(self, read: int) -> bool:
        """A few lines can ask for rows without end."""
        self._steps += STEPS
        if self._steps > _STEPS_AT_LEAST + _STEPS_PER_BYTE * read:
            return True
        return self._target.stat().st_size > _BYTES_AT_LEAST + _BYTES_PER_BYTE * read


def _tables(session: sqlite3.Connection) -> set[str]:
    return {str(name) for (name,) in session.execute(_TABLES)}
