"""The engine of MariaDB and MySQL: each method calls the module that does the work."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePath
from typing import Any

from holdfast.contracts.archive import Change, Commit, FileNames, Following, Log, Stop, Target
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
from holdfast.contracts.local_servers import SETTLED, LocalServer
from holdfast.contracts.snapshots import Capture, Finish
from holdfast.domain.evidence import Check
from holdfast.engines.mysql.client import address, tools
from holdfast.engines.mysql.client.address import secrets
from holdfast.engines.mysql.client.tools import MARIADB, ToolSet
from holdfast.engines.mysql.drills import assertions, content, self_checks
from holdfast.engines.mysql.dump import archive, dump, inventory, probe
from holdfast.engines.mysql.hosting.server import Server
from holdfast.engines.mysql.imports import survey
from holdfast.engines.mysql.imports.staging import ForeignStaging
from holdfast.engines.mysql.physical import (
    binlog,
    data_directory,
    following,
    log_changes,
    log_replay,
    log_requirements,
    snapshot,
)
from holdfast.engines.mysql.physical.rehearsal import Rehearsal
from holdfast.engines.mysql.restore import preflight, swap
from holdfast.engines.mysql.restore.staging import ConfinedStaging, Staging
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.hosting import mark


class MySQL(Server):
    kind = "mysql"
    restarts = True
    title = "MariaDB and MySQL"
    description = "MariaDB 10.6 or newer and MySQL 8.0 or newer, dumped with their own clients."
    traits = Traits(
        remedy="apt-get install mariadb-server mariadb-client mariadb-backup",
        tls=True,
        named_databases=True,
        bare_snapshots=False,
        certificates=("ssl-ca",),
    )

    def __init__(self, tools_dir: Path) -> None:
        super().__init__(tools_dir)
        self.tools_dir = tools_dir

    def probe(self, address: Address) -> Probe:
        return probe.probe(address)

    def parse(self, connection_string: str) -> Address:
        return address.parse(connection_string)

    def versions(self) -> Sequence[str]:
        return [tool_set.version for tool_set in self.tools() if tool_set.server is not None]

    def clients(self) -> Sequence[str]:
        return [tool_set.version for tool_set in self.tools()]

    def series(self, version: str) -> str:
        return tools.series(version)

    def secrets(self, address: Address) -> Mapping[str, str]:
        return secrets(address)

    def tools(self) -> Sequence[ToolSet]:
        return tools.installed(self.tools_dir)

    def dump(
        self, address: Address, scope: Scope, attempt: Attempt, guard: Guard
    ) -> AbstractContextManager[DumpSession]:
        return dump.dump(self.tools_dir, address, scope, attempt, guard)

    def recognise(self, head: bytes) -> Member:
        return survey.recognise(head)

    def survey(self, member: Member, plain: Iterator[bytes]) -> Survey:  # noqa: ARG002 - of one kind
        return survey.survey(plain)

    def examine(self, member: Member, plain: Iterator[bytes]) -> Mapping[str, object]:
        return archive.examine(member, plain)

    def content(self, member: Member, plain: Iterator[bytes]) -> Mapping[str, Content]:
        return content.content(member, plain)

    def check_data(self, address: Address, guard: Guard) -> Sequence[Check]:
        return self_checks.check_data(address, guard)

    def assert_true(self, address: Address, assertion: Assertion, guard: Guard) -> Check:
        return assertions.assert_true(address, assertion, guard)

    def connections(self, address: Address) -> int:
        return probe.connections(address)

    def inventory(self, address: Address) -> Inventory:
        return inventory.inventory(address)

    def preflight(self, address: Address, dump: Dump) -> None:
        preflight.preflight(address, dump)

    def stage(
        self, address: Address, dump: Dump, fetch: Fetch, attempt: Attempt, guard: Guard
    ) -> Inventory:
        own = Staging if address.owner is None else ConfinedStaging
        kind = ForeignStaging if dump.foreign else own
        return kind(address, dump, attempt, guard).run(fetch)

    def swap(self, address: Address, dump: Dump, attempt: Attempt, guard: Guard) -> None:
        swap.swap(address, dump, attempt, guard)

    def put_back(self, address: Address, op: str, attempt: Attempt, guard: Guard) -> None:
        swap.put_back(address, op, attempt, guard)

    def drop_aside(self, address: Address, op: str, attempt: Attempt, guard: Guard) -> None:
        swap.drop_aside(address, op, attempt, guard)

    def snapshot(
        self, address: Address, attempt: Attempt, guard: Guard, rate: int | None
    ) -> AbstractContextManager[Capture]:
        return snapshot.capture(self.tools_dir, address, attempt, guard, rate)

    def follows(self, version: str) -> bool:
        return tools.server(self.tools_dir, version).flavour == MARIADB

    def lacks(self, address: Address, *, unbounded: bool) -> Sequence[str]:  # noqa: ARG002 - no slot
        return log_requirements.lacks(self.tools_dir, address)

    def follow(
        self, address: Address, slot: str, guard: Guard
    ) -> AbstractContextManager[Following]:
        return following.follow(address, slot, guard)

    def release(self, address: Address, slot: str) -> None:  # noqa: ARG002 - there is none
        following.release(address)

    def settle_stop(self, version: str, log: Log, base: Mapping[str, Any], target: Target) -> Stop:  # noqa: ARG002 - any version is alike
        return log_replay.settle_stop(log, base, target)

    def parse_position(self, text: str) -> int:
        return binlog.parse_position(text)

    def precedes(self, position: Mapping[str, Any], transaction: str) -> bool:
        return binlog.precedes(position, transaction)

    def above(self, former: Mapping[str, Any], lines: Sequence[str]) -> Mapping[str, Any]:  # noqa: ARG002 - a line begins with a file of its own
        return {}

    def changes(self, version: str, log: Log, names: FileNames, guard: Guard) -> Iterator[Change]:  # noqa: ARG002 - any version is alike, and the log has names
        return log_changes.changes(log, guard)

    def last_commit(self, version: str, log: Log, guard: Guard) -> Commit | None:  # noqa: ARG002 - any version is alike
        guard.check()
        return next(reversed(log_replay.commits(log)), None)

    def ancestry(self, history: bytes) -> Sequence[tuple[str, int]]:  # noqa: ARG002 - it has no forks
        return []

    def file_source(self, data: bytes) -> str:
        return binlog.source_in(data)

    def show_position(self, position: int) -> str:
        return binlog.show_position(position)

    def obstacles(self, server: LocalServer, manifest: Mapping[str, Any]) -> Sequence[str]:
        return data_directory.obstacles(self.tools_dir, server, manifest)

    def runs_as(self, server: LocalServer, version: str) -> str:  # noqa: ARG002 - any server is alike
        return tools.server(self.tools_dir, version).version

    def arrange(self, tree: Path, server: LocalServer) -> None:
        data_directory.arrange(self.tools_dir, tree, server)

    def finish(
        self,
        directory: PurePath,
        facts: Mapping[str, Any],  # noqa: ARG002 - every copy is finished alike
    ) -> Finish:
        return data_directory.finish(directory)

    def settle(self, server: LocalServer, guard: Guard) -> Sequence[str]:
        Rehearsal(self.tools_dir, server.directory, server, guard).settle()
        mark(server.directory / SETTLED)
        return []

    def rehearse(
        self,
        tree: Path,
        server: LocalServer,
        facts: Mapping[str, Any],
        guard: Guard,
    ) -> Mapping[str, object]:
        boot = Rehearsal(self.tools_dir, tree / "data", server, guard)
        proven = boot.run(facts)
        if server.ours and server.admin is not None:
            mark(tree / "data" / SETTLED)
        return proven

    def discard(self, address: Address, attempt: Attempt) -> str:
        return swap.discard(address, attempt)
