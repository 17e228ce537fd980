"""The Redis engine: each method calls the module that does the work."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePath
from typing import Any

from holdfast.contracts.drills import Assertion
from holdfast.contracts.engine import Address, Attempt, Inventory, Probe, Traits
from holdfast.contracts.local_servers import LocalServer
from holdfast.contracts.snapshots import Capture, Finish
from holdfast.domain.evidence import Check
from holdfast.engines.redis.client import address, probe, tools
from holdfast.engines.redis.client.address import secrets
from holdfast.engines.redis.client.tools import ToolSet
from holdfast.engines.redis.drills import assertions, self_checks
from holdfast.engines.redis.hosting import private_server, wheels
from holdfast.engines.redis.hosting.server import Server
from holdfast.engines.redis.imports import ingest
from holdfast.engines.redis.physical import data_directory, snapshot
from holdfast.engines.redis.physical.rehearsal import Rehearsal
from holdfast.kit.processes.guard import Guard


class Redis(Server):
    kind = "redis"
    title = "Redis"
    description = "Redis 7.0 and newer and Valkey, copied over the replication protocol."
    traits = Traits(
        remedy="apt-get install redis-server, or holdfast tools install redis VERSION (Valkey)",
        tls=True,
        named_databases=False,
        bare_snapshots=True,
        certificates=address.CERTIFICATE_OPTIONS,
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
        """The server programs: a snapshot needs no client, and a server is its own checker."""
        return self.versions()

    def series(self, version: str) -> str:
        return tools.series(version)

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

    def inventory(self, address: Address) -> Inventory:
        return probe.inventory(address)

    def check_data(self, address: Address, guard: Guard) -> Sequence[Check]:
        return self_checks.check_data(self.tools_dir, address, guard)

    def assert_true(self, address: Address, assertion: Assertion, guard: Guard) -> Check:
        return assertions.assert_true(address, assertion, guard)

    def snapshot(
        self, address: Address, attempt: Attempt, guard: Guard, rate: int | None
    ) -> AbstractContextManager[Capture]:
        return snapshot.capture(self.tools_dir, address, attempt, guard, rate)

    def ingest(
        self, plain: Iterator[bytes], attempt: Attempt, guard: Guard
    ) -> AbstractContextManager[Capture]:
        return ingest.ingested(self.tools_dir, plain, attempt, guard)

    def obstacles(self, server: LocalServer, manifest: Mapping[str, Any]) -> Sequence[str]:
        return data_directory.obstacles(self.tools_dir, server, manifest)

    def runs_as(self, server: LocalServer, version: str) -> str:  # noqa: ARG002 - checked before
        """The addon keeps its version: `obstacles` made sure that it reads the snapshot."""
        return server.version

    def arrange(self, tree: Path, server: LocalServer) -> None:
        data_directory.arrange(tree, server)

    def finish(self, directory: PurePath, facts: Mapping[str, Any]) -> Finish:  # noqa: ARG002
        return data_directory.finish(directory)

    def rehearse(
        self, tree: Path, server: LocalServer, facts: Mapping[str, Any], guard: Guard
    ) -> Mapping[str, object]:
        return Rehearsal(self.tool_set(server), tree, server, guard).run(facts)

    def admit(self, server: LocalServer) -> None:
        private_server.admit(server)

    def dismiss(self, directory: Path) -> None:
        private_server.dismiss(directory)
