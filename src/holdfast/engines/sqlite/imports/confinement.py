"""Runs foreign SQL with limits, and without writing the schema by hand."""

import re
import sqlite3
from pathlib import Path

from holdfast.engines.sqlite.client.tables import identifier
from holdfast.engines.sqlite.imports.load import STEPS_PER_CHECK, StatementRunner

_WRITABLE = re.compile(r"PRAGMA\s+writable_schema\s*=\s*\w+\s*;\s*\Z", re.IGNORECASE)
_SCHEMA_ROW = re.compile(
    r"INSERT INTO sqlite_(?:schema|master)\(type,name,tbl_name,rootpage,sql\)\s*"
    r"VALUES\('table','((?:[^']|'')*)','\1',0,'(CREATE VIRTUAL TABLE (?:[^']|'')*)'\);\s*\Z",
    re.IGNORECASE,
)
_STATISTICS = re.compile(r"INSERT INTO (?:\"?)sqlite_stat4\b", re.IGNORECASE)
_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table'"

_STEPS_PER_BYTE, _MIN_STEPS = 1000, 200_000_000
_BYTES_PER_BYTE, _MIN_BYTES = 16, 64 << 20


class ConfinedRunner(StatementRunner):
    """Runs the statements of one foreign text, which is loaded into `target`."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._steps = 0

    def run(self, session: sqlite3.Connection, statement: str) -> None:
        """Creates virtual tables for the schema rows that a shell writes; skips its statistics."""
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

    def exceeds_limits(self, text_bytes: int) -> bool:
        """Limits work and size in proportion to the text: a few lines can ask for endless rows."""
        self._steps += STEPS_PER_CHECK
        if self._steps > _MIN_STEPS + _STEPS_PER_BYTE * text_bytes:
            return True
        return self._target.stat().st_size > _MIN_BYTES + _BYTES_PER_BYTE * text_bytes


def _tables(session: sqlite3.Connection) -> set[str]:
    return {str(name) for (name,) in session.execute(_TABLES)}
