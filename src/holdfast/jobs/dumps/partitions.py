"""Rows of partitions, put together: in which part of its table a row lies may differ by server."""

from collections import Counter
from collections.abc import Mapping

from holdfast.catalog.schema import Document
from holdfast.contracts.engine import Inventory

Key = tuple[str, str]
"""Database and table."""


def rows_compared(
    wanted: Inventory, loaded: Inventory
) -> tuple[Mapping[Key, int], Mapping[Key, int]]:
    """Of each table that is no part of another, in both; parts count for their roots.

    What is a part in one of them is one in the other, which may be of before that was recorded.
    """
    roots = {
        (table.database, table.name): table.root
        for inventory in (wanted, loaded)
        for table in inventory.tables
        if table.root
    }
    return _gathered(wanted, roots), _gathered(loaded, roots)


def _gathered(inventory: Inventory, roots: Mapping[Key, str]) -> Mapping[Key, int]:
    rows: Counter[Key] = Counter()
    for table in inventory.tables:
        name = roots.get((table.database, table.name), table.name)
        rows[table.database, name] += table.rows
    return dict(rows)


def roots_by_database(inventory: Document) -> dict[str, dict[str, str]]:
    """The root of each table that is a part of one, by database and name."""
    roots: dict[str, dict[str, str]] = {}
    for table in inventory["tables"]:
        if table.get("root"):
            roots.setdefault(table["database"], {})[table["name"]] = table["root"]
    return roots


def by_root(rows: Mapping[str, int], roots: Mapping[str, str]) -> Mapping[str, int]:
    """Rows of one database's tables, those of parts with their root's."""
    total: Counter[str] = Counter()
    for name, count in rows.items():
        total[roots.get(name, name)] += count
    return dict(total)
