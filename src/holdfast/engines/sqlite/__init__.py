"""SQLite files: snapshots and dumps of a consistent copy, restores into files in use."""

from pathlib import Path

from holdfast.engines.sqlite.driver import SQLite


def create(tools_dir: Path) -> SQLite:
    """What the registry calls."""
    return SQLite(tools_dir)
