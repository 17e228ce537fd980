"""Has anybody changed the catalogue? SQLite says so for a few microseconds, in the event loop too.

It counts for each connection what others committed, in this process or another one; so this
connection is for nothing else. PostgreSQL has nothing like it: there everything is asked anew.
"""

from typing import Any

from holdfast.catalog.database.session import Catalog


class Edition:
    """For one thread."""

    def __init__(self, catalog: Catalog) -> None:
        self._watching: Any = catalog.engine.raw_connection() if catalog.is_sqlite else None

    def number(self) -> int | None:
        """Another one after every commit. What was read after it was asked for is not older than
        that; None: nothing is known."""
        if self._watching is None:
            return None
        cursor = self._watching.cursor()
        try:
            return int(cursor.execute("PRAGMA data_version").fetchone()[0])
        finally:
            cursor.close()
