"""Inventories and members as documents, and what differs between two of them."""

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


def parse(found: Document) -> Inventory:
    """The inverse of `document`."""
    tables = [Table(**table) for table in found["tables"]]
    skipped = tuple(Skipped(**item) for item in found.get("skipped", ()))
    return Inventory(tables, found["objects"], frozenset(found.get("leftOut", ())), skipped)


def sentence(item: Skipped) -> str:
    """An object that could not be made, in one line."""
    where = f"{item.database}: " if item.database else ""
    return " ".join(f"{where}{item.name}: {item.reason}".split())


def rows_by_database(found: Document) -> dict[str, dict[str, int]]:
    """Rows of each table, by database and name. Two that are called alike, as `a.b` of schema `c`
    and `b` of schema `c.a` may be, count as one."""
    rows: dict[str, dict[str, int]] = defaultdict(dict)
    for table in found["tables"]:
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


def shortfalls(wanted: Inventory, loaded: Inventory) -> list[str]:
    """For a file that somebody else made: only the tables whose rows could be counted tell."""
    anywhere = [*loaded.tables, *(replace(table, database="") for table in loaded.tables)]
    want, have = rows_compared(wanted, replace(loaded, tables=anywhere))
    return [
        f"table {name}: {rows} rows in the file, {have.get((db, name), 'no such table')} restored"
        for (db, name), rows in want.items()
        if have.get((db, name)) != rows
    ]


def differences(wanted: Inventory, loaded: Inventory) -> list[str]:
    """Each difference as a sentence; empty when both hold the same but for skipped objects."""
    want, have = rows_compared(wanted, loaded)
    found = [
        f"table {db}.{name}: {rows} rows dumped, {have.get((db, name), 'no such table')} restored"
        for (db, name), rows in want.items()
        if have.get((db, name)) != rows
    ]
    found += [
        f"table {db}.{name} was not in the dump" for db, name in sorted(have.keys() - want.keys())
    ]
    skipped = Counter((item.database, item.kind) for item in loaded.skipped)
    for database, kinds in wanted.objects.items():
        there = loaded.objects.get(database, {})
        found += [
            f"{database}: {count} {kind} were dumped, {there.get(kind, 0)} restored"
            for kind, count in kinds.items()
            if not 0 <= count - there.get(kind, 0) <= skipped[database, kind]
            and kind not in loaded.left_out
        ]
    return found
