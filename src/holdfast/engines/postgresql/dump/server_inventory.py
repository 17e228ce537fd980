"""Counts a whole server, outside any dump."""

from holdfast.contracts.engine import Address, Inventory
from holdfast.engines.postgresql.client import facts
from holdfast.engines.postgresql.client.address import connect
from holdfast.engines.postgresql.client.server_errors import translated
from holdfast.engines.postgresql.dump.inventory import Count, count, count_rows_by_copy, merge
from holdfast.engines.postgresql.hosting.administrator import as_reader, grant_reader_access


def inventory(address: Address) -> Inventory:
    """Counts each database in one snapshot; `postgres` only when it holds user objects."""
    counts: dict[str, Count] = {}
    with translated():
        with connect(address) as session:
            grant_reader_access(session, address)
            databases = facts.databases(session)
        for database in databases:
            name = str(database["name"])
            with connect(as_reader(address), name) as session:
                if name == "postgres" and not facts.has_user_objects(session):
                    continue
                session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                counts[name] = count(session, name, fallback=count_rows_by_copy)
    return merge(counts)
