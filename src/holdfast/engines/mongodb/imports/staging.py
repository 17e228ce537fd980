"""Stages what strangers may have shaped: definitions pass the filter, accounts stay out."""

from collections.abc import Iterator

from holdfast.contracts.engine import Address, Attempt, Dump, Fetch, Inventory, Member
from holdfast.engines.mongodb.client.connection import Connection
from holdfast.engines.mongodb.dump.metadata import Definition
from holdfast.engines.mongodb.imports import directory_format
from holdfast.engines.mongodb.imports.definition_filter import DefinitionFilter
from holdfast.engines.mongodb.imports.survey import DIRECTORY
from holdfast.engines.mongodb.restore.staging import Contents, Staging
from holdfast.kit.processes.guard import Guard


class ForeignStaging(Staging):
    """One attempt to stage one foreign dump."""

    def __init__(self, address: Address, dump: Dump, attempt: Attempt, guard: Guard) -> None:
        super().__init__(address, dump, attempt, guard)
        self._filter = DefinitionFilter()

    def stage(self, connection: Connection, fetch: Fetch) -> Inventory:
        loaded = super().stage(connection, fetch)
        for kind in sorted(self._filter.left_out):
            self._attempt.say(f"left out: {kind}")
        return loaded

    def contents(self, member: Member, fetch: Fetch) -> Contents:
        if member.format == DIRECTORY:
            return directory_format.contents(fetch(member.name), fetch(member.name))
        return super().contents(member, fetch)

    def admit(self, definition: Definition) -> Definition | None:
        return self._filter.admit(definition)

    def stage_accounts(self, connection: Connection, plain: Iterator[bytes]) -> None:
        """Does nothing: accounts of others stay out."""
