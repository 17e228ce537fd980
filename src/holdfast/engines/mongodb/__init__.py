"""MongoDB 4.4 and newer: dumps in the stock archive format, managed replica sets of one node."""

from pathlib import Path

from holdfast.engines.mongodb.driver import MongoDB


def create(tools_dir: Path) -> MongoDB:
    """What the registry calls."""
    return MongoDB(tools_dir)
