"""The MongoDB engine: each method calls the module that does the work."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from holdfast.contracts.engine import Address, Probe, Traits
from holdfast.engines.mongodb.client import address, connection, probe, tools
from holdfast.engines.mongodb.client.address import secrets
from holdfast.engines.mongodb.client.tools import ToolSet
from holdfast.engines.mongodb.hosting import wheels
from holdfast.engines.mongodb.hosting.server import Server
from holdfast.engines.programs import series


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
