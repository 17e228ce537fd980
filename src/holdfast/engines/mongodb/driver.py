"""The MongoDB engine: each method calls the module that does the work."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePath
from typing import Any

from holdfast.contracts.drills import Assertion, Content
from holdfast.contracts.engine import (
    Address,
    Attempt,
    Dump,
    DumpSession,
    Fetch,
    Inventory,
    Member,
    Probe,
    Scope,
    Traits,
)
from holdfast.contracts.foreign import Survey
from holdfast.contracts.local_servers import LocalServer
from holdfast.contracts.snapshots import Capture, Finish
from holdfast.domain.evidence import Check
from holdfast.engines.mongodb.client import address, connection, probe, tools
from holdfast.engines.mongodb.client.address import secrets
from holdfast.engines.mongodb.client.tools import ToolSet
from holdfast.engines.mongodb.drills import assertions, content, self_checks
from holdfast.engines.mongodb.dump import archive, dump, inventory
from holdfast.engines.mongodb.hosting import wheels
from holdfast.engines.mongodb.hosting.server import Server
from holdfast.engines.mongodb.imports import survey
from holdfast.engines.mongodb.imports.staging import ForeignStaging
from holdfast.engines.mongodb.physical import data_directory, snapshot
from holdfast.engines.mongodb.physical.rehearsal import Rehearsal
from holdfast.engines.mongodb.restore import preflight, swap
from holdfast.engines.mongodb.restore.staging import Staging
from holdfast.engines.programs import series
from holdfast.kit.processes.guard import Guard


class MongoDB(Server):
    kind = "mongodb"
    title = "MongoDB"
    description = "MongoDB 4.4 and newer, dumped at one cluster time into mongorestore's archives."
    traits = Traits(
        remedy=tools.REMEDY,
        tls=True,
        named_databases=True,
        bare_snapshots=False,
        certificates=address.CERTIFICATE_OPTIONS,
        needs_programs=False,
    )

    def __init__(self, tools_dir: Path) -> None:
        super().__init__(tools_dir)
        self.tools_dir = tools_dir

    def probe(self, address: Address) -> Probe:
        return probe.probe(address)

    def parse(self, connection_string: str) -> Address:
        return address.parse(connection_string)

    def versions(self) -> Sequence[str]:
        """Server versions, newest first, each once."""
        return list(dict.fromkeys(tool_set.version for tool_set in self.tools()))

    def clients(self) -> Sequence[str]:
        """The driver that dumps and loads: it is part of Holdfast."""
        return [connection.DRIVER_VERSION]

    def series(self, version: str) -> str:
        return series(version)

    def secrets(self, address: Address) -> Mapping[str, str]:
        return secrets(address)

    def tools(self) -> Sequence[ToolSet]:
        return tools.installed(self.tools_dir)

    def installable(self) -> Sequence[str]:
        return wheels.installable()

    def install(self, version: str) -> ToolSet:
        return wheels.install(self.tools_dir, version)

    def connections(self, address: Address) -> int:
        return probe.connections(address)

    def dump(
        self, address: Address, scope: Scope, attempt: Attempt, guard: Guard
    ) -> AbstractContextManager[DumpSession]:
        return dump.dump(address, scope, attempt, guard)

    def examine(self, member: Member, plain: Iterator[bytes]) -> Mapping[str, object]:
        return archive.examine(member, plain)

    def inventory(self, address: Address) -> Inventory:
        return inventory.inventory(address)

    def preflight(self, address: Address, dump: Dump) -> None:
        preflight.preflight(address, dump)

    def stage(
        self, address: Address, dump: Dump, fetch: Fetch, attempt: Attempt, guard: Guard
    ) -> Inventory:
        kind = ForeignStaging if dump.foreign else Staging
        return kind(address, dump, attempt, guard).run(fetch)

    def swap(self, address: Address, dump: Dump, attempt: Attempt, guard: Guard) -> None:  # noqa: ARG002 - the ledger knows it
        swap.swap(address, attempt, guard)

    def discard(self, address: Address, attempt: Attempt) -> str:
        return swap.discard(address, attempt)

    def put_back(self, address: Address, op: str, attempt: Attempt, guard: Guard) -> None:
        swap.put_back(address, op, attempt, guard)

    def drop_aside(self, address: Address, op: str, attempt: Attempt, guard: Guard) -> None:
        swap.drop_aside(address, op, attempt, guard)

    def recognise(self, head: bytes) -> Member:
        return survey.recognise(head)

    def survey(self, member: Member, plain: Iterator[bytes]) -> Survey:
        return survey.survey(member, plain)

    def content(self, member: Member, plain: Iterator[bytes]) -> Mapping[str, Content]:
        return content.content(member, plain)

    def check_data(self, address: Address, guard: Guard) -> Sequence[Check]:
        return self_checks.check_data(address, guard)

    def assert_true(self, address: Address, assertion: Assertion, guard: Guard) -> Check:
        return assertions.assert_true(address, assertion, guard)

    def snapshot(
        self, address: Address, attempt: Attempt, guard: Guard, rate: int | None
    ) -> AbstractContextManager[Capture]:
        return snapshot.capture(address, attempt, guard, rate)

    def obstacles(self, server: LocalServer, manifest: Mapping[str, Any]) -> Sequence[str]:
        return data_directory.obstacles(self.tools_dir, server, manifest)

    def runs_as(self, server: LocalServer, version: str) -> str:  # noqa: ARG002 - checked before
        """The addon keeps its version: `obstacles` made sure that it starts on the snapshot."""
        return server.version

    def arrange(self, tree: Path, server: LocalServer) -> None:
        data_directory.arrange(tree, server)

    def finish(self, directory: PurePath, facts: Mapping[str, Any]) -> Finish:  # noqa: ARG002
        return data_directory.finish(directory)

    def rehearse(
        self, tree: Path, server: LocalServer, facts: Mapping[str, Any], guard: Guard
    ) -> Mapping[str, object]:
        check = self_checks.check_database
        return Rehearsal(self.tool_set(server), tree, server, guard, check).run(facts)
