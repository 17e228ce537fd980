"""Moves collections into their places, one by one, each step repeatable."""

from collections.abc import Sequence

from bson.binary import Binary

from holdfast.contracts.engine import Attempt
from holdfast.domain.errors import RestoreDiffers
from holdfast.engines.mongodb.client.connection import Connection, Document, WireError
from holdfast.engines.mongodb.client.server_errors import NOT_FOUND, error_code, error_text
from holdfast.engines.mongodb.dump import metadata
from holdfast.engines.mongodb.dump.archive import BUCKETS, COLLECTION, TIME_SERIES, VIEW
from holdfast.engines.mongodb.dump.batches import batches, offsets
from holdfast.engines.mongodb.dump.inventory import SYSTEM_CODE, definitions
from holdfast.engines.mongodb.dump.metadata import Definition
from holdfast.engines.mongodb.restore.ledger import Ledger, Placement, drop, uuids
from holdfast.engines.mongodb.restore.loading import Loader, create_indexes, harmless_expiry
from holdfast.engines.mongodb.restore.sealed import HOME
from holdfast.kit.processes.guard import Guard

_WIRE_6_0 = 17
_ASIDE = "aside "


class Mover:
    """Puts `plan` in place of `leaving`; `keep`: what leaves goes to the names of its placement.

    A collection that leaves is known by its UUID: what has its name by now is not touched for it.
    """

    def __init__(
        self,
        connection: Connection,
        ledger: Ledger,
        attempt: Attempt,
        guard: Guard | None,
        *,
        keep: bool,
    ) -> None:
        self._connection = connection
        self._ledger = ledger
        self._attempt = attempt
        self._guard = guard
        self._keep = keep
        self._filled = set[str](ledger.state.get("filled", ()))
        wire = connection.command(HOME, {"hello": 1})["maxWireVersion"]
        self._names_uuids = wire >= _WIRE_6_0

    def run(self, plan: Sequence[Placement], leaving: Sequence[Placement]) -> None:
        self.drop_views(plan, leaving)
        going = {(one.database, one.name): one for one in leaving}
        for placement in plan:
            if placement.definition.type != VIEW:
                self.may_go_on()
                old = going.pop((placement.database, placement.name), None)
                self.place(placement, old)
        for old in going.values():
            self.may_go_on()
            self.make_room(old)
        for placement in plan:
            for command in metadata.expiries(placement.name, placement.definition):
                self._run_or_say(placement, command)
        self.create_views([one.definition for one in plan if one.definition.type == VIEW])

    def may_go_on(self) -> None:
        """Raises if the operation was stopped, or another attempt took it over."""
        if self._guard is not None:
            self._guard.check()
        self._attempt.confirm()

    def place(self, placement: Placement, old: Placement | None) -> None:
        database, name, buckets = placement.database, placement.name, f"{BUCKETS}{placement.name}"
        if not is_renamed(placement.definition):
            self.fill(placement, old)
            return
        if uuids(self._connection, database, name).get(name) == placement.uuid:
            return
        if old is not None and (self._keep or old.definition.type == TIME_SERIES):
            self.make_room(old)
        if buckets in uuids(self._connection, database, buckets):
            drop(self._connection, database, name)
        self._rename(database, placement.beside, name)

    def fill(self, placement: Placement, old: Placement | None) -> None:
        """Replaces a collection that cannot be renamed by the documents of the one beside."""
        definition, database, name = placement.definition, placement.database, placement.name
        if f"{database}.{name}" in self._filled:
            return
        self._require_beside(placement)
        if old is not None:
            self.make_room(old)
        if name == SYSTEM_CODE:
            self._delete_all(database, name)
        else:
            drop(self._connection, database, name)
            self._connection.write(database, metadata.create_command(name, definition))
        copy_documents(self._connection, database, placement.beside, definition.data[1])
        # By its name a collection that is gone reads as empty.
        self._require_beside(placement)
        if name != SYSTEM_CODE:
            specs = metadata.index_specs(definition)
            for spec, reason in create_indexes(self._connection, database, name, specs):
                self._attempt.say(f"index {spec['name']} of {database}.{name}: {reason}")
        self._ledger.mark_filled(f"{database}.{name}")

    def _require_beside(self, placement: Placement) -> None:
        """Raises RestoreDiffers when the copy is gone that a collection is to be filled from."""
        if not uuids(self._connection, placement.database, placement.beside):
            name = f"{placement.database}.{placement.name}"
            raise RestoreDiffers(f"the copy beside of {name} is gone: it cannot be put in place")

    def make_room(self, old: Placement) -> None:
        """Removes a collection that leaves, or sets it aside."""
        definition, database, name = old.definition, old.database, old.name
        if definition.type == VIEW:
            return
        stored = definition.data[1]
        present = uuids(self._connection, database, stored)
        if definition.type == TIME_SERIES:
            if present.get(stored) == definition.uuid:
                self._set_copy_aside(old)
                self._connection.write(database, {"drop": name})
        elif name == SYSTEM_CODE:
            self._set_copy_aside(old)
            self._delete_all(database, name)
        elif present.get(name) != definition.uuid:
            return
        elif self._keep:
            self._rename(database, name, old.beside, self._identity(definition))
            expiry = harmless_expiry(self._connection)
            for command in metadata.expiries(old.beside, definition, expiry):
                self._run_or_say(old, command)
        else:
            self._connection.write(database, {"drop": name, **self._identity(definition)})

    def _set_copy_aside(self, old: Placement) -> None:
        mark = f"{_ASIDE}{old.database}.{old.name}"
        if self._keep and mark not in self._filled:
            drop(self._connection, old.database, old.beside)
            self._connection.write(old.database, {"create": old.beside})
            copy_documents(self._connection, old.database, old.definition.data[1], old.beside)
            self._ledger.mark_filled(mark)
            self._filled.add(mark)

    def _identity(self, definition: Definition) -> Document:
        """Makes a command fail if its collection was replaced; servers before 6.0 cannot."""
        if not self._names_uuids:
            return {}
        return {"collectionUUID": Binary(bytes.fromhex(definition.uuid), 4)}

    def _rename(
        self, database: str, name: str, final: str, identity: Document | None = None
    ) -> None:
        command: Document = {
            "renameCollection": f"{database}.{name}",
            "to": f"{database}.{final}",
            "dropTarget": True,
            **(identity or {}),
        }
        self._connection.write(HOME, command)

    def _delete_all(self, database: str, name: str) -> None:
        deletion: Document = {"q": {}, "limit": 0}
        self._connection.write(database, {"delete": name, "deletes": [deletion]})

    def _run_or_say(self, placement: Placement, command: Document) -> None:
        try:
            self._connection.write(placement.database, command)
        except WireError as error:
            if not error_code(error):
                raise
            text = error_text(error)
            self._attempt.say(f"expiry of {placement.database}.{placement.name}: {text}")

    def drop_views(self, plan: Sequence[Placement], leaving: Sequence[Placement]) -> None:
        """Drops views that leave, or stand where something else belongs."""
        planned = {(one.database, one.name): one.definition for one in plan}
        going = {(one.database, one.name) for one in leaving} | planned.keys()
        for database in sorted({database for database, _ in going}):
            for definition in definitions(self._connection, database):
                key = (database, definition.name)
                is_same = key in planned and is_same_view(planned[key], definition)
                if definition.type == VIEW and key in going and not is_same:
                    self.may_go_on()
                    self._connection.write(database, {"drop": definition.name})

    def create_views(self, views: Sequence[Definition]) -> None:
        """Creates views in rounds, because they may need each other."""
        waiting = list(views)
        while waiting:
            refused: list[tuple[Definition, str]] = []
            for view in waiting:
                self.may_go_on()
                if view.name in uuids(self._connection, view.database, view.name):
                    continue
                try:
                    command = metadata.create_command(view.name, view)
                    self._connection.write(view.database, command)
                except WireError as error:
                    if not error_code(error):
                        raise
                    refused.append((view, error_text(error)))
            if len(refused) == len(waiting):
                for view, reason in refused:
                    self._attempt.say(f"view {view.database}.{view.name} is not made: {reason}")
                return
            waiting = [view for view, _ in refused]


def is_renamed(definition: Definition) -> bool:
    """Whether it comes into its place by a rename, with the UUID that it was staged with."""
    return definition.type == COLLECTION and definition.name != SYSTEM_CODE


def is_same_view(planned: Definition, present: Definition) -> bool:
    return planned.type == VIEW and planned.options == present.options


def copy_documents(connection: Connection, database: str, source: str, target: str) -> None:
    """Copies all documents as they are into a collection that is there."""
    with (
        connection.logical_session() as session,
        Loader(connection, database, target, ordered=True) as loader,
    ):
        try:
            for documents in batches(connection, session, database, source):
                start = 0
                for end in offsets(documents):
                    loader.add([documents[start:end]])
                    start = end
        except WireError as error:
            if error_code(error) != NOT_FOUND:
                raise
