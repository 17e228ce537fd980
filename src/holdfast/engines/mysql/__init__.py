"""MariaDB and MySQL: dumps with their own client tools, restores beside and swaps."""

from pathlib import Path

from holdfast.engines.mysql.driver import MySQL


def create(tools_dir: Path) -> MySQL:
    """What the registry calls."""
    return MySQL(tools_dir)
