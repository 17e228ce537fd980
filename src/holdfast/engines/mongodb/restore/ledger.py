"""Records on the server what one restore must remember, in a collection of `admin`.

A ledger goes with collections that wait to be put in place: those that a restore staged, or the old
ones that it set aside. A collection is in place when its name has the UUID that the ledger names,
so that each step of a swap can be repeated.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.engines.mongodb.client.connection import Connection
from holdfast.engines.mongodb.dump import metadata
from holdfast.engines.mongodb.dump.archive import Meta
from holdfast.engines.mongodb.dump.metadata import Definition

HOME = "admin"
"""Database of ledgers: the only one that no restore replaces."""
_MAJORITY = {"w": "majority"}
_STATE = "state"
_ENTRIES_PER_COMMAND = 100
STAGED, MOVING, MOVED = "staged", "moving", "moved"


@dataclass(frozen=True)
class Placement:
    """A collection, view or time series, and the collection beside that holds its documents.

    `uuid` is that of the collection beside, in hex; empty for views, which have none.
    """

    definition: Definition
    beside: str
    uuid: str

    @property
    def database(self) -> str:
        return self.definition.database

    @property
    def name(self) -> str:
        return self.definition.name


class Ledger:
    """The ledger of one restore. Call `phase` first: other methods need its collection."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self.name = name

    def write(self, plan: Sequence[Placement], **state: object) -> None:
        """Writes the plan, and last the state that makes it count."""
        self.close()
        entries: list[tuple[object, Mapping[str, object]]] = []
        for number, placement in enumerate(plan):
            meta = placement.definition.meta()
            fields = {
                "database": meta.database,
                "name": meta.collection,
                "type": meta.type,
                "metadata": meta.metadata,
                "beside": placement.beside,
                "uuid": placement.uuid,
            }
            entries.append((number, fields))
        for start in range(0, len(entries), _ENTRIES_PER_COMMAND):
            self._save(entries[start : start + _ENTRIES_PER_COMMAND])
        self._save([(_STATE, state)])

    def _save(self, entries: Sequence[tuple[object, Mapping[str, object]]]) -> None:
        updates = [
            {"q": {"_id": key}, "u": {"$set": fields}, "upsert": True} for key, fields in entries
        ]
        command = {"update": self.name, "updates": updates, "writeConcern": _MAJORITY}
        self._connection.command(HOME, command)

    def change(self, **state: object) -> None:
        self._save([(_STATE, state)])

    @property
    def state(self) -> Mapping[str, Any]:
        """The fields of the state; empty if there is no ledger, or an unfinished one."""
        find = {"find": self.name, "filter": {"_id": _STATE}}
        return next(self._connection.documents(HOME, find), dict[str, Any]())

    @property
    def phase(self) -> str:
        return str(self.state.get("phase", ""))

    def plan(self) -> list[Placement]:
        find = {"find": self.name, "filter": {"_id": {"$type": "number"}}, "sort": {"_id": 1}}
        return [
            Placement(
                metadata.parse(
                    Meta(entry["database"], entry["name"], entry["metadata"], entry["type"])
                ),
                entry["beside"],
                entry["uuid"],
            )
            for entry in self._connection.documents(HOME, find)
        ]

    def mark_filled(self, name: str) -> None:
        """Records that a collection that cannot be renamed has all its documents."""
        update = {
            "q": {"_id": _STATE},
            "u": {"$addToSet": {"filled": name}},
        }
        command = {"update": self.name, "updates": [update], "writeConcern": _MAJORITY}
        self._connection.command(HOME, command)

    def close(self) -> None:
        drop(self._connection, HOME, self.name)


def uuids(connection: Connection, database: str) -> dict[str, str]:
    """The UUID of each collection and view of a database, in hex; empty for views."""
    return {
        entry["name"]: bytes(entry.get("info", {}).get("uuid") or b"").hex()
        for entry in connection.documents(database, {"listCollections": 1, "cursor": {}})
    }


def drop(connection: Connection, database: str, name: str) -> None:
    """Drops a collection or view; none there is success."""
    if name in uuids(connection, database):
        connection.command(database, {"drop": name})


def collections_of_prefix(connection: Connection, prefix: str) -> Iterator[tuple[str, str]]:
    """Database and name of collections of any database whose names begin with a prefix of ours."""
    command = {"listDatabases": 1, "nameOnly": True, "authorizedDatabases": False}
    for entry in connection.command("admin", command)["databases"]:
        if entry["name"] in ("config", "local"):
            continue
        listing = {
            "listCollections": 1,
            "filter": {"name": {"$regex": f"^{prefix}"}},
            "nameOnly": True,
            "cursor": {},
        }
        for listed in connection.documents(entry["name"], listing):
            yield entry["name"], listed["name"]
