"""Lists and counts what a server holds: databases, collections, views, indexes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pymongo.client_session import ClientSession

from holdfast.contracts.engine import Address, Inventory, Table
from holdfast.engines import staging_names
from holdfast.engines.mongodb.client.connection import (
    LONG_ANSWER_SECONDS,
    Connection,
    Document,
    WireError,
    connect,
)
from holdfast.engines.mongodb.client.server_errors import NOT_FOUND, error_code
from holdfast.engines.mongodb.dump.archive import BUCKETS, COLLECTION, TIME_SERIES, VIEW
from holdfast.engines.mongodb.dump.metadata import Definition

SYSTEM_DATABASES = ("admin", "config", "local")
SYSTEM_CODE = "system.js"
_VIEW_ERROR = 166
_KINDS = {VIEW: "views", TIME_SERIES: "time series", COLLECTION: "collections"}


def databases(connection: Connection) -> list[str]:
    """All databases but the server's own, of which `admin` may hold collections of users."""
    command = {"listDatabases": 1, "nameOnly": True, "authorizedDatabases": False}
    listed = connection.command("admin", command)["databases"]
    return sorted(entry["name"] for entry in listed if entry["name"] not in SYSTEM_DATABASES[1:])


def definitions(
    connection: Connection, database: str, names: Sequence[str] | None = None
) -> list[Definition]:
    """Collections, time series and views of a database that belong to its owner, by name.

    The server's own collections, temporary ones and what a restore of ours staged are left out.
    With `names` these alone, in their order, whatever they are.
    """
    listed = {
        entry["name"]: entry
        for entry in connection.documents(database, {"listCollections": 1, "cursor": {}})
    }
    chosen = names or [
        name
        for name, entry in sorted(listed.items())
        if belongs_to_owner(database, name) and not entry.get("options", {}).get("temp")
    ]
    defined = (
        _definition(connection, database, listed[name], listed) for name in chosen if name in listed
    )
    return [item for item in defined if item is not None]


def belongs_to_owner(database: str, name: str) -> bool:
    if name.startswith("system."):
        return name == SYSTEM_CODE and database not in SYSTEM_DATABASES
    return not name.startswith(staging_names.OURS)


def _definition(
    connection: Connection, database: str, entry: Document, listed: Mapping[str, Document]
) -> Definition | None:
    """None for a collection that has vanished since it was listed."""
    name, kind = entry["name"], entry.get("type", COLLECTION)
    stored = listed.get(f"{BUCKETS}{name}") if kind == TIME_SERIES else entry
    uuid = (stored or {}).get("info", {}).get("uuid")
    indexes: Sequence[Mapping[str, Any]] = ()
    if kind != VIEW:
        try:
            command: Document = {"listIndexes": name, "cursor": {}}
            indexes = list(connection.documents(database, command))
        except WireError as error:
            if error_code(error) != NOT_FOUND:
                raise
            return None
    return Definition(
        database, name, kind, entry.get("options", {}), indexes, bytes(uuid or b"").hex()
    )


def count(
    connection: Connection,
    namespace: tuple[str, str],
    read_concern: Mapping[str, object] | None = None,
    session: ClientSession | None = None,
) -> int:
    """Counts the documents of a collection one by one; the numbers that servers keep may be off."""
    database, collection = namespace
    command: Document = {"aggregate": collection, "pipeline": [{"$count": "n"}], "cursor": {}}
    if read_concern is not None:
        command["readConcern"] = read_concern
    batch = connection.command(database, command, session)["cursor"]["firstBatch"]
    return int(batch[0]["n"]) if batch else 0


def merge(counted: Sequence[tuple[Definition, int]], views: Sequence[Definition]) -> Inventory:
    """The inventory of collections with their numbers of documents, and of views.

    Of a time series the buckets are counted.
    """
    objects: dict[str, Counter[str]] = {}
    for item in (*(item for item, _ in counted), *views):
        kinds = objects.setdefault(item.database, Counter())
        kinds[_KINDS.get(item.type, item.type)] += 1
        kinds["indexes"] += len(item.secondary)
    return Inventory(
        tables=[Table(one.database, one.name, documents) for one, documents in counted],
        objects={
            database: {kind: number for kind, number in kinds.items() if number}
            for database, kinds in objects.items()
        },
    )


def inventory(address: Address) -> Inventory:
    """All user databases, each collection by itself."""
    with connect(address, answer_seconds=LONG_ANSWER_SECONDS) as connection:
        present = [item for name in databases(connection) for item in definitions(connection, name)]
        counted = [(item, count(connection, item.data)) for item in present if item.type != VIEW]
    return merge(counted, [item for item in present if item.type == VIEW])
