"""Records on the server what one restore must remember, in a collection of `admin`.

A ledger goes with collections that wait to be put in place: those that a restore staged, or the old
ones that it set aside. A collection is in place when its name has the UUID that the ledger names,
so that each step of a swap can be repeated. Its entries are sealed: else those who may write
`admin` could have us move collections anywhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bson

from holdfast.domain.errors import RestoreDiffers
from holdfast.engines.mongodb.client.connection import Connection, Document
from holdfast.engines.mongodb.dump import metadata
from holdfast.engines.mongodb.dump.archive import Meta
from holdfast.engines.mongodb.dump.metadata import Definition
from holdfast.engines.mongodb.restore.sealed import HOME, Key, SealedCollection
from holdfast.kit.seal import Sealer

_STATE, _ENTRIES = "state", "entries"
STAGED, MOVING, DONE, MOVED = "staged", "moving", "done", "moved"
"""Phases of a restore's ledger, and MOVED of one whose old data was put back."""


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

    def __init__(self, connection: Connection, name: str, sealer: Sealer) -> None:
        self._connection = connection
        self._entries = SealedCollection(connection, name, sealer)
        self.name = name

    def write(self, plan: Sequence[Placement], **state: object) -> None:
        """Writes the plan, and last the state that makes it count."""
        self.close()
        entries: list[tuple[Key, bytes]] = []
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
            entries.append((number, bson.encode(fields)))
        self._entries.save(entries)
        self._save_state({**state, _ENTRIES: len(entries)})

    def _save_state(self, state: Mapping[str, object]) -> None:
        self._entries.save([(_STATE, bson.encode(state))])

    def change(self, **state: object) -> None:
        self._save_state({**self.state, **state})

    @property
    def state(self) -> Mapping[str, Any]:
        """The fields of the state; empty if there is no ledger, or an unfinished one."""
        return dict(self._entries.documents({"_id": _STATE})).get(_STATE, {})

    @property
    def phase(self) -> str:
        return str(self.state.get("phase", ""))

    def plan(self) -> list[Placement]:
        """RestoreDiffers when entries are missing."""
        plan = [
            Placement(
                metadata.parse(
                    Meta(entry["database"], entry["name"], entry["metadata"], entry["type"])
                ),
                entry["beside"],
                entry["uuid"],
            )
            for _, entry in self._entries.documents({"_id": {"$type": "number"}})
        ]
        if len(plan) != self.state.get(_ENTRIES):
            raise RestoreDiffers(f"entries of {HOME}.{self.name} on the server are missing")
        return plan

    def mark_filled(self, name: str) -> None:
        """Records that a collection that cannot be renamed has all its documents."""
        self.change(filled=[*self.state.get("filled", ()), name])

    def close(self) -> None:
        drop(self._connection, HOME, self.name)


def uuids(connection: Connection, database: str, *names: str) -> dict[str, str]:
    """The UUID of each collection and view of a database, in hex; empty for views.

    With `names` these alone: servers find them without a look at all others.
    """
    listing: Document = {"listCollections": 1, "cursor": {}}
    if names:
        listing["filter"] = {"name": {"$in": list(names)}}
    return {
        entry["name"]: bytes(entry.get("info", {}).get("uuid") or b"").hex()
        for entry in connection.documents(database, listing)
    }


def drop(connection: Connection, database: str, name: str) -> None:
    """Drops a collection or view; none there is success."""
    if name in uuids(connection, database, name):
        connection.write(database, {"drop": name})


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
