"""Inventories as documents, and the differences between two of them."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, replace

from holdfast.catalog.schema import Document
from holdfast.contracts.engine import Inventory, Skipped, Table
from holdfast.domain.artifact import StoredMember
from holdfast.jobs.dumps.partitions import rows_compared


def document(inventory: Inventory) -> Document:
    return {
        "tables": [asdict(table) for table in inventory.tables],
        "objects": {db: dict(kinds) for db, kinds in inventory.objects.items()},
        "leftOut": sorted(inventory.left_out),
        "skipped": [asdict(item) for item in inventory.skipped],
    }


def parse(stored: Document) -> Inventory:
    """The inverse of `document`."""
    tables = [Table(**table) for table in stored["tables"]]
    skipped = tuple(Skipped(**item) for item in stored.get("skipped", ()))
    return Inventory(tables, stored["objects"], frozenset(stored.get("leftOut", ())), skipped)


def sentence(item: Skipped) -> str:
    """An object that could not be made, in one line."""
    prefix = f"{item.database}: " if item.database else ""
    return " ".join(f"{prefix}{item.name}: {item.reason}".split())


def rows_by_database(inventory: Document) -> dict[str, dict[str, int]]:
    """Rows of each table, by database and name. Tables with the same full name count as one: `a.b`
    of schema `c` and `b` of schema `c.a`."""
    rows: dict[str, dict[str, int]] = defaultdict(dict)
    for table in inventory["tables"]:
        names = rows[table["database"]]
        names[table["name"]] = names.get(table["name"], 0) + table["rows"]
    return rows


def rows_as_tables(
    rows: Mapping[str, Mapping[str, int]], roots: Mapping[str, Mapping[str, str]]
) -> list[Document]:
    """The inverse of `rows_by_database`; `roots` as from `partitions`."""
    return [
        {
            "database": database,
            "name": name,
            "rows": count,
            "root": roots.get(database, {}).get(name, ""),
        }
        for database, tables in rows.items()
        for name, count in tables.items()
    ]


def member_document(member: StoredMember) -> Document:
    return asdict(member)


def shortfalls(expected: Inventory, loaded: Inventory) -> list[str]:
    """Differences from an imported file; only tables whose rows could be counted are compared."""
    anywhere = [*loaded.tables, *(replace(table, database="") for table in loaded.tables)]
    want, have = rows_compared(expected, replace(loaded, tables=anywhere))
    return [
        f"table {name}: {rows} rows in the file, {have.get((db, name), 'no such table')} restored"
        for (db, name), rows in want.items()
        if have.get((db, name)) != rows
    ]


def differences(expected: Inventory, loaded: Inventory) -> list[str]:
    """Differences as sentences; none if both hold the same but for skipped objects."""
    want, have = rows_compared(expected, loaded)
    sentences = [
        f"table {db}.{name}: {rows} rows dumped, {have.get((db, name), 'no such table')} restored"
        for (db, name), rows in want.items()
        if have.get((db, name)) != rows
    ]
    sentences += [
        f"table {db}.{name} was not in the dump" for db, name in sorted(have.keys() - want.keys())
    ]
    skipped = Counter((item.database, item.kind) for item in loaded.skipped)
    for database, kinds in expected.objects.items():
        loaded_counts = loaded.objects.get(database, {})
        sentences += [
            f"{database}: {count} {kind} were dumped, {loaded_counts.get(kind, 0)} restored"
            for kind, count in kinds.items()
            if not 0 <= count - loaded_counts.get(kind, 0) <= skipped[database, kind]
            and kind not in loaded.left_out
        ]
    return sentences
