"""The PostgreSQL engine: every method is one call into the module that does it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePath
from typing import Any

from holdfast.contracts.archive import (
    Change,
    Commit,
    FileNames,
    Following,
    Log,
    Point,
    Stop,
    Target,
)
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
from holdfast.contracts.local_servers import SETTLED, LocalServer, is_foreign
from holdfast.contracts.snapshots import Capture, Finish
from holdfast.domain.evidence import Check
from holdfast.engines.postgresql.client import address, tools
from holdfast.engines.postgresql.client.address import secrets
from holdfast.engines.postgresql.client.tools import ToolSet
from holdfast.engines.postgresql.drills import assertions, content, self_checks
from holdfast.engines.postgresql.dump import archive, dump, probe, server_inventory
from holdfast.engines.postgresql.hosting import wheels
from holdfast.engines.postgresql.hosting.server import Server, superuser
from holdfast.engines.postgresql.imports import survey
from holdfast.engines.postgresql.imports.staging import ForeignStaging
from holdfast.engines.postgresql.physical import (
    data_directory,
    following,
    snapshot,
    timelines,
    wal_changes,
    wal_replay,
)
from holdfast.engines.postgresql.physical.rehearsal import Rehearsal
from holdfast.engines.postgresql.restore import old_databases, preflight, swap
from holdfast.engines.postgresql.restore.confined_staging import ConfinedStaging
from holdfast.engines.postgresql.restore.staging import Staging
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.hosting import mark


class PostgreSQL(Server):
    kind = "postgresql"
    restarts = False
    title = "PostgreSQL"
    description = "PostgreSQL 14 to 18, dumped with its own client tools."
    traits = Traits(
        remedy="apt-get install postgresql, or holdfast tools install postgresql VERSION",
        tls=True,
        named_databases=True,
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
        return list(dict.fromkeys(tool_set.version for tool_set in self.tools() if tool_set.server))

    def clients(self) -> Sequence[str]:
        return list(dict.fromkeys(tool_set.version for tool_set in self.tools()))

    def series(self, version: str) -> str:
        return version.partition(".")[0]

    def secrets(self, address: Address) -> Mapping[str, str]:
        return secrets(address)

    def tools(self) -> Sequence[ToolSet]:
        return tools.installed(self.tools_dir)

    def installable(self) -> Sequence[str]:
        return wheels.installable()

    def install(self, version: str) -> ToolSet:
        return wheels.install(self.tools_dir, version)

    def dump(
        self, address: Address, scope: Scope, attempt: Attempt, guard: Guard
    ) -> AbstractContextManager[DumpSession]:
        return dump.dump(self.tools_dir, address, scope, attempt, guard)

    def recognise(self, head: bytes) -> Member:
        return survey.recognise(head)

    def survey(self, member: Member, plain: Iterator[bytes]) -> Survey:
        return survey.survey(tools.newest(self.tools_dir), member, plain)

    def examine(self, member: Member, plain: Iterator[bytes]) -> Mapping[str, object]:
        return archive.examine(tools.newest(self.tools_dir), member, plain)

    def recount(self, member: Member, plain: Iterator[bytes]) -> Mapping[str, int]:
        return survey.recount(tools.newest(self.tools_dir), member, plain)

    def content(self, member: Member, plain: Iterator[bytes]) -> Mapping[str, Content]:
        return content.content(tools.newest(self.tools_dir), member, plain)

    def check_data(self, address: Address, guard: Guard) -> Sequence[Check]:
        return self_checks.check_data(address, guard)

    def assert_true(self, address: Address, assertion: Assertion, guard: Guard) -> Check:
        return assertions.assert_true(address, assertion, guard)

    def connections(self, address: Address) -> int:
        return probe.connections(address)

    def inventory(self, address: Address) -> Inventory:
        return server_inventory.inventory(address)

    def preflight(self, address: Address, dump: Dump) -> None:
        preflight.preflight(self.tools_dir, address, dump)

    def stage(
        self, address: Address, dump: Dump, fetch: Fetch, attempt: Attempt, guard: Guard
    ) -> Inventory:
        own = Staging if address.owner is None else ConfinedStaging
        staging = ForeignStaging if dump.foreign else own
        return staging(self.tools_dir, address, dump, attempt, guard).run(fetch)

    def swap(self, address: Address, dump: Dump, attempt: Attempt, guard: Guard) -> None:
        swap.swap(address, dump, attempt, guard)

    def put_back(self, address: Address, op: str, attempt: Attempt, guard: Guard) -> None:
        old_databases.put_back(address, op, attempt, guard)

    def drop_aside(self, address: Address, op: str, attempt: Attempt, guard: Guard) -> None:
        old_databases.drop_aside(address, op, attempt, guard)

    def snapshot(
        self, address: Address, attempt: Attempt, guard: Guard, rate: int | None
    ) -> AbstractContextManager[Capture]:
        return snapshot.capture(address, attempt, guard, rate)

    def follows(self, version: str) -> bool:  # noqa: ARG002 - every version can
        return True

    def lacks(self, address: Address, *, unbounded: bool) -> Sequence[str]:
        return following.lacks(address, unbounded=unbounded)

    def follow(
        self, address: Address, slot: str, guard: Guard
    ) -> AbstractContextManager[Following]:
        return following.follow(address, slot, guard)

    def release(self, address: Address, slot: str) -> None:
        following.release(address, slot)

    def settle_stop(self, version: str, log: Log, base: Mapping[str, Any], target: Target) -> Stop:
        return wal_replay.settle_stop(self.tools_dir, version, log, base, target)

    def parse_position(self, text: str) -> int:
        return wal_replay.parse_position(text)

    def precedes(self, position: Mapping[str, Any], transaction: str) -> bool:
        return wal_replay.precedes(position, transaction)

    def above(self, former: Mapping[str, Any], lines: Sequence[str]) -> Mapping[str, Any]:
        numbers = (int(line, 16) for line in lines)
        return {timelines.USED: max(int(former.get(timelines.USED, 0)), *numbers, 0)}

    def changes(self, version: str, log: Log, names: FileNames, guard: Guard) -> Iterator[Change]:
        return wal_changes.changes(self.tools_dir, version, log, names, guard)

    def last_commit(self, version: str, log: Log, guard: Guard) -> Commit | None:
        guard.check()
        return next(reversed(wal_replay.commits(self.tools_dir, version, log)), None)

    def names(self, address: Address) -> FileNames:
        return wal_changes.names(address)

    def mark(self, address: Address, name: str) -> Point:
        return wal_replay.mark(address, name)

    def locate(self, version: str, logs: Iterable[Log], name: str) -> int:
        return wal_replay.locate(self.tools_dir, version, logs, name)

    def ancestry(self, history: bytes) -> Sequence[tuple[str, int]]:
        return following.ancestors(history.decode(errors="replace"))

    def file_source(self, data: bytes) -> None:
        """Segments name no file."""

    def show_position(self, position: int) -> str:
        return following.show_lsn(position)

    def obstacles(self, server: LocalServer, manifest: Mapping[str, Any]) -> Sequence[str]:
        return data_directory.obstacles(self.tools_dir, server, manifest)

    def runs_as(self, server: LocalServer, version: str) -> str:  # noqa: ARG002 - the same on all servers
        return tools.server(self.tools_dir, version).version

    def arrange(self, tree: Path, server: LocalServer) -> None:
        data_directory.arrange(self.tools_dir, tree, server)

    def finish(self, directory: PurePath, facts: Mapping[str, Any]) -> Finish:
        return data_directory.finish(directory, facts)

    def settle(self, server: LocalServer, guard: Guard) -> Sequence[str]:
        def confine() -> Sequence[str]:
            boot = Rehearsal(self.tools_dir, server.directory, server, guard)
            return boot.settle([superuser(server), server.user])

        return data_directory.settle(server, confine)

    def remember(self, server: LocalServer) -> Mapping[str, object]:
        chosen = tools.server(self.tools_dir, server.version)
        return {timelines.USED: timelines.highest_used(chosen, server)}

    def rehearse(
        self, tree: Path, server: LocalServer, facts: Mapping[str, Any], guard: Guard
    ) -> Mapping[str, object]:
        boot = Rehearsal(self.tools_dir, tree / "data", server, guard)
        proven = boot.run(dict(facts), foreign=is_foreign(facts))
        if server.admin is not None:
            mark(tree / "data" / SETTLED)
        return proven

    def discard(self, address: Address, attempt: Attempt) -> str:
        return swap.discard(address, attempt)
