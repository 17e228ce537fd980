"""PostgreSQL 14 to 18: dumps with its own client tools, restores beside the data and swaps."""

from pathlib import Path

from holdfast.engines.postgresql.driver import PostgreSQL


def create(tools_dir: Path) -> PostgreSQL:
    """The function that the registry calls."""
    return PostgreSQL(tools_dir)
