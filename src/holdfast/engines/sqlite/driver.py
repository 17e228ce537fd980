"""The SQLite engine: each method calls the module that does the work."""

import secrets
import sqlite3
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
from holdfast.contracts.snapshots import Capture, Finish
from holdfast.domain.errors import NotSupported
from holdfast.domain.evidence import Check
from holdfast.engines.sqlite import sample
from holdfast.engines.sqlite.client import journal, location, scratch, tables
from holdfast.engines.sqlite.client.location import Fence, opened
from holdfast.engines.sqlite.drills import assertions, content, self_checks
from holdfast.engines.sqlite.dump import dump
from holdfast.engines.sqlite.imports import survey
from holdfast.engines.sqlite.physical import snapshot
from holdfast.engines.sqlite.restore import restore
from holdfast.kit.processes.guard import Guard


class SQLite:
    kind = "sqlite"
    title = "SQLite"
    description = "SQLite files on this machine, below the directories its operator allows."
    traits = Traits(
        remedy="it is part of Python", tls=False, named_databases=False, bare_snapshots=True
    )

    def __init__(self, tools_dir: Path) -> None:
        self._tools_dir = tools_dir.resolve()
        self._fence = Fence()
        self._private: Path | None = None

    def confined(self, directory: Path) -> "SQLite":
        confined = SQLite(directory)
        confined.allow([directory], scratch.home(directory))
        return confined

    def allow(self, roots: Sequence[Path], private: Path) -> None:
        self._private = private
        self._fence = Fence(roots, private, private.resolve() / sample.FOLDER)

    def make_sample(self) -> Address:
        assert self._private is not None, "the engine was not told where its own files are"
        return location.parse(f"sqlite://{sample.make(self._private.resolve())}")

    def probe(self, address: Address) -> Probe:
        path = self._fence.path(address)
        with self._recovered(path) as recovered_path, opened(recovered_path) as session:
            session.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            mode = str(session.execute("PRAGMA journal_mode").fetchone()[0])
            counted = tables.inventory(session)
        return Probe(
            version=sqlite3.sqlite_version,
            major=self.series(sqlite3.sqlite_version),
            flavour="SQLite",
            size=path.lstat().st_size,
            facts={
                "journalMode": mode,
                "tables": len(counted.tables),
                "consistency": "the whole file at one instant",
            },
        )

    def parse(self, connection_string: str) -> Address:
        return location.parse(connection_string)

    def versions(self) -> Sequence[str]:
        return [sqlite3.sqlite_version]

    def clients(self) -> Sequence[str]:
        return self.versions()

    def series(self, version: str) -> str:
        """All versions of SQLite 3 read each other's files."""
        return version.partition(".")[0]

    def secrets(self, address: Address) -> Mapping[str, str]:
        return {"SQLITE_URI": location.uri(address)}

    def inventory(self, address: Address) -> Inventory:
        with (
            self._recovered(self._fence.path(address)) as recovered_path,
            opened(recovered_path) as session,
        ):
            return tables.inventory(session)

    def _recovered(self, path: Path) -> AbstractContextManager[Path]:
        tag = f"look-{secrets.token_hex(8)}"
        return journal.recovered(self._tools_dir, path, tag, lambda _: None)

    def snapshot(
        self, address: Address, attempt: Attempt, guard: Guard, rate: int | None
    ) -> AbstractContextManager[Capture]:
        path = self._fence.path(address)
        return snapshot.capture(self._tools_dir, path, attempt, guard, rate)

    def finish(self, directory: PurePath, facts: Mapping[str, Any]) -> Finish:  # noqa: ARG002
        return snapshot.finish(directory)

    def dump(
        self, address: Address, scope: Scope, attempt: Attempt, guard: Guard
    ) -> AbstractContextManager[DumpSession]:
        if scope.database not in (None, address.database):
            raise NotSupported(f"{address.database} is one database; there is no {scope.database}")
        return dump.dump(self._tools_dir, self._fence.path(address), attempt, guard)

    def examine(self, member: Member, plain: Iterator[bytes]) -> Mapping[str, object]:  # noqa: ARG002
        return dump.examine(self._tools_dir, plain)

    def content(self, member: Member, plain: Iterator[bytes]) -> Mapping[str, Content]:
        return content.content(member, plain)

    def check_data(self, address: Address, guard: Guard) -> Sequence[Check]:
        with self._recovered(self._fence.path(address)) as recovered_path:
            return self_checks.check_data(recovered_path, guard)

    def assert_true(self, address: Address, assertion: Assertion, guard: Guard) -> Check:
        with self._recovered(self._fence.path(address)) as recovered_path:
            return assertions.assert_true(recovered_path, assertion, guard)

    def recognise(self, head: bytes) -> Member:
        return survey.recognise(head)

    def survey(self, member: Member, plain: Iterator[bytes]) -> Survey:
        return survey.survey(self._tools_dir, member, plain)

    def preflight(self, address: Address, dump: Dump) -> None:
        restore.preflight(self._tools_dir, self._fence.path(address), dump)

    def stage(
        self, address: Address, dump: Dump, fetch: Fetch, attempt: Attempt, guard: Guard
    ) -> Inventory:
        self._fence.path(address)
        plain = fetch(dump.members[0].name)
        return restore.stage(self._tools_dir, dump, plain, attempt, guard)

    def swap(self, address: Address, dump: Dump, attempt: Attempt, guard: Guard) -> None:  # noqa: ARG002
        """One transaction of the target: applications see the old content or the new."""
        self.replace_content(address, attempt, guard)

    def room(self, attempt: Attempt) -> Path:
        return scratch.draft_directory(self._tools_dir, attempt.op, attempt.stage)

    def accept(
        self, address: Address, facts: Mapping[str, Any], attempt: Attempt, guard: Guard
    ) -> Mapping[str, object]:
        self._fence.path(address)
        guard.check()
        return restore.accept(self.room(attempt), facts)

    def replace_content(self, address: Address, attempt: Attempt, guard: Guard) -> None:
        aside = (
            scratch.old_content_directory(self._tools_dir, attempt.op) if attempt.keep_old else None
        )
        restore.replace_content(
            self.room(attempt), self._fence.path(address), attempt, guard, aside
        )

    def put_back(self, address: Address, op: str, attempt: Attempt, guard: Guard) -> None:
        path = self._fence.path(address)
        restore.put_back(scratch.old_content_directory(self._tools_dir, op), path, attempt, guard)

    def drop_aside(self, address: Address, op: str, attempt: Attempt, guard: Guard) -> None:  # noqa: ARG002
        restore.drop_aside(scratch.old_content_directory(self._tools_dir, op))

    def discard(self, address: Address, attempt: Attempt) -> str:  # noqa: ARG002
        return restore.discard(self._tools_dir, attempt)
