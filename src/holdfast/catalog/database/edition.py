"""Tells whether the catalogue changed, on SQLite, in a few microseconds.

SQLite counts for each connection what others committed, in this process or another one; so this
connection is used for nothing else. PostgreSQL has no such counter: there every query is repeated.
"""

from typing import Any

from holdfast.catalog.database.session import Catalog


class Edition:
    """The catalogue's change counter, for one thread."""

    def __init__(self, catalog: Catalog) -> None:
        self._watching: Any = catalog.engine.raw_connection() if catalog.is_sqlite else None

    def number(self) -> int | None:
        """A number that changes with every commit. Rows read after this call are as new as the
        number at least; None: not known."""
        if self._watching is None:
            return None
        cursor = self._watching.cursor()
        try:
            return int(cursor.execute("PRAGMA data_version").fetchone()[0])
        finally:
            cursor.close()
