"""Adds up rows of partitions, because a row may lie in another partition on another server."""

from collections import Counter
from collections.abc import Mapping

from holdfast.catalog.schema import Document
from holdfast.contracts.engine import Inventory

Key = tuple[str, str]
"""Database and table."""


def rows_compared(
    expected: Inventory, loaded: Inventory
) -> tuple[Mapping[Key, int], Mapping[Key, int]]:
    """Rows of each table in both inventories; rows of partitions count for their root table.

    A partition in one of them counts as one in the other, which may be older than that record.
    """
    roots = {
        (table.database, table.name): table.root
        for inventory in (expected, loaded)
        for table in inventory.tables
        if table.root
    }
    return _gathered(expected, roots), _gathered(loaded, roots)


def _gathered(inventory: Inventory, roots: Mapping[Key, str]) -> Mapping[Key, int]:
    rows: Counter[Key] = Counter()
    for table in inventory.tables:
        name = roots.get((table.database, table.name), table.name)
        rows[table.database, name] += table.rows
    return dict(rows)


def roots_by_database(inventory: Document) -> dict[str, dict[str, str]]:
    """The root table of each partition, by database and name."""
    roots: dict[str, dict[str, str]] = {}
    for table in inventory["tables"]:
        if table.get("root"):
            roots.setdefault(table["database"], {})[table["name"]] = table["root"]
    return roots


def by_root(rows: Mapping[str, int], roots: Mapping[str, str]) -> Mapping[str, int]:
    """Rows of one database's tables; those of partitions are added to their root table."""
    total: Counter[str] = Counter()
    for name, count in rows.items():
        total[roots.get(name, name)] += count
    return dict(total)
