"""Keeps documents on a server that only Holdfast can read, make or change.

Restores leave copies of users, and what a swap or an undo must do, in collections of `admin`. Roles
such as `readWriteAnyDatabase` reach them there, so each document is sealed together with its place:
else its reader would learn password hashes, and its writer could have us make an administrator.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from holdfast.domain.errors import RestoreDiffers, SealBroken
from holdfast.engines.mongodb.client.connection import Connection, Document, decoded
from holdfast.kit.seal import Sealer, Secret

HOME = "admin"
"""Database of all of them: the only one that no restore replaces."""
_UPDATES_PER_COMMAND = 100

Key = str | int


class SealedCollection:
    def __init__(self, connection: Connection, name: str, sealer: Sealer) -> None:
        self._connection = connection
        self._sealer = sealer
        self.name = name

    def save(self, documents: Sequence[tuple[Key, bytes]]) -> None:
        """Adds or replaces documents, given as BSON, under their keys."""
        for start in range(0, len(documents), _UPDATES_PER_COMMAND):
            updates = [
                {"q": {"_id": key}, "u": {"_id": key, "sealed": self._seal(key, document)}}
                for key, document in documents[start : start + _UPDATES_PER_COMMAND]
            ]
            update: Document = {
                "update": self.name,
                "updates": [{**one, "upsert": True} for one in updates],
            }
            self._connection.write(HOME, update)

    def _seal(self, key: Key, document: bytes) -> str:
        text = base64.b64encode(document).decode()
        return self._sealer.seal(Secret(text), self._context(key))

    def _context(self, key: Key) -> str:
        return f"{HOME}.{self.name} {key!r}"

    def documents(self, query: Mapping[str, object] | None = None) -> Iterator[tuple[Key, Any]]:
        """Keys and documents by key. RestoreDiffers if one was not made by this installation."""
        find: Document = {"find": self.name, "filter": query or {}, "sort": {"_id": 1}}
        for entry in self._connection.documents(HOME, find):
            key = entry["_id"]
            try:
                text = self._sealer.open(str(entry.get("sealed")), self._context(key)).reveal()
            except SealBroken as error:
                raise RestoreDiffers(
                    f"{HOME}.{self.name} on the server was changed by others, or was written by"
                    " another installation: nothing in it is carried out"
                ) from error
            yield key, decoded(base64.b64decode(text))
