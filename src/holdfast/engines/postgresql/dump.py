"""One dump in progress: a member for the globals and one per database.

Each database is dumped and counted in one snapshot. A session of ours exports it, pg_dump
imports it, and while pg_dump reads, the same session counts rows: what the archive holds and
what the inventory says cannot differ.
"""

import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from holdfast.contracts.engine import Address, Attempt, Inventory, Member, Scope, Source
from holdfast.domain.errors import AddonRefused, ChildFailed, EvidenceMissing, Failure
from holdfast.engines.postgresql import archive, commands, facts, tools
from holdfast.engines.postgresql.address import Session, connect, nearest
from holdfast.engines.postgresql.complaints import of_statement, translated
from holdfast.engines.postgresql.confining import as_reader, let_reader_in
from holdfast.engines.postgresql.facts import Facts
from holdfast.engines.postgresql.inventory import Count, count, merged
from holdfast.engines.postgresql.naming import application, application_prefix, member_names
from holdfast.engines.postgresql.probe import look
from holdfast.engines.postgresql.session import Canceller
from holdfast.engines.postgresql.tools import ToolSet
from holdfast.kit.guard import Guard
from holdfast.kit.pipes import PipeSource

GLOBALS = Member("globals.sql", archive.GLOBALS, None)
_TRAILER_MISSING = "the globals do not end like a finished dump"


@dataclass(frozen=True)
class Parts:
    """Which server, how much of it, and with which tools."""

    address: Address
    scope: Scope
    tools: ToolSet


class PostgreSQLDump:
    """The DumpSession of one attempt."""

    def __init__(self, parts: Parts, attempt: Attempt, guard: Guard) -> None:
        self._address = parts.address
        self._scope = parts.scope
        self._tools = parts.tools
        self._application = application(attempt.op, attempt.tag)
        self._guard = guard
        self._counts: dict[str, Count] = {}
        self._open: list[Source] = []
        self._super = False
        self.members: Sequence[Member] = ()
        self.facts: Mapping[str, object] = {}

    def look(self) -> None:
        """Fills in members and facts; ends what older attempts of this operation left."""
        with connect(self._address, application=self._application) as session:
            server = look(session, self._address)
            end_sessions(session, self._application)
            let_reader_in(session, self._address)
            databases = facts.databases(session)
            everything = {
                "roles": facts.roles(session) if self._scope.users else [],
                "tablespaces": facts.tablespaces(session),
            }
        kept, skipped = self._inspect(databases)
        names = member_names(str(database["name"]) for database in kept)
        self._super = bool(server["super"])
        self.members = (
            *([GLOBALS] if self._scope.users else []),
            *(Member(file, archive.ARCHIVE, name) for name, file in names.items()),
        )
        self.facts = {
            **everything,
            "server": {key: server[key] for key in ("version", "major", "bootstrap", "user")},
            "users": self._scope.users,
            "passwords": self._super,
            "tools": {"version": self._tools.version, "major": self._tools.major},
            "consistency": "each database is one snapshot; databases and roles follow each other",
            "databases": [{**database, "member": names[database["name"]]} for database in kept],
            "skipped": skipped,
        }

    def _inspect(self, databases: Sequence[Facts]) -> tuple[list[Facts], list[str]]:
        kept: list[Facts] = []
        skipped: list[str] = []
        for database in databases:
            name = str(database["name"])
            if self._scope.database not in (None, name):
                continue
            with connect(self._address, name, self._application) as session:
                if name == "postgres" and not facts.has_user_objects(session):
                    skipped.append("postgres: it holds no user objects")
                else:
                    own = database if self._scope.users else facts.without_users(database)
                    kept.append({**own, "extensions": facts.extensions(session)})
        if self._scope.database is not None and not kept:
            raise AddonRefused(f"the server has no database {self._scope.database} to dump")
        return kept, skipped

    def open(self, member: Member) -> Source:
        source = self._globals() if member.database is None else self._database(member.database)
        self._open.append(source)
        return source

    def _globals(self) -> Source:
        command = commands.pg_dumpall_globals(
            self._tools, self._address, self._application, passwords=self._super
        )
        return PipeSource(command, self._guard, _judge_globals)

    def _database(self, database: str) -> Source:
        session = connect(as_reader(self._address), database, self._application)
        try:
            return DatabaseSource(self._tools, self._address, self._counts, session, self._guard)
        except BaseException:
            session.close()
            raise

    def inventory(self) -> Inventory:
        """EvidenceMissing when a database was not dumped to its end."""
        wanted = {member.database for member in self.members if member.database is not None}
        if wanted != self._counts.keys():
            missing = ", ".join(sorted(wanted - self._counts.keys()))
            raise EvidenceMissing(f"these databases were not counted: {missing}")
        return merged(self._counts)

    def close(self) -> None:
        for source in self._open:
            source.close()


class DatabaseSource:
    """pg_dump of one database, and the count of the same snapshot beside it."""

    def __init__(
        self,
        chosen: ToolSet,
        address: Address,
        counts: dict[str, Count],
        session: Session,
        guard: Guard,
    ) -> None:
        self._session = session
        self._counts = counts
        self._guard = guard
        self._trouble: Failure | None = None
        self._name = session.info.dbname
        self._canceller = Canceller(session)
        self._release = guard.adopt(self._canceller.start)
        snapshot = _export(session)
        command = commands.pg_dump(
            chosen,
            address,
            self._name,
            snapshot=snapshot,
            application=session.info.get_parameters()["application_name"],
        )
        self._source = PipeSource(command, guard, self._judge)
        self._counter = threading.Thread(target=self._count, daemon=True)
        self._counter.start()

    @property
    def pid(self) -> int:
        return self._source.pid

    def read(self, size: int) -> bytes:
        return self._source.read(size)

    def finish(self) -> Mapping[str, object]:
        found = self._finished()
        return {**found, "tables": len(self._counts[self._name].tables)}

    def _finished(self) -> Mapping[str, object]:
        """A count the server refused ends the snapshot, and pg_dump then names a wrong cause."""
        try:
            return self._source.finish()
        except ChildFailed as error:
            self._counter.join()
            if isinstance(self._trouble, AddonRefused):
                raise self._trouble from error
            raise

    def _judge(self, tail: bytes) -> Mapping[str, object]:
        self._counter.join()
        self._guard.check()
        if self._trouble is not None:
            raise self._trouble
        counted = self._counts[self._name]
        if counted.tables and not tail.endswith(archive.END_OF_DATA):
            raise EvidenceMissing(f"the archive of {self._name} does not end with a data block")
        return {"rows": sum(table.rows for table in counted.tables)}

    def _count(self) -> None:
        try:
            self._counts[self._name] = count(self._session, self._name)
        except psycopg.Error as error:
            self._trouble = of_statement(error)

    def close(self) -> None:
        self._release()
        self._source.close()
        if self._counter.is_alive():
            self._canceller.start()
        self._counter.join(10)
        self._canceller.give_up()
        self._session.close()


def _export(session: Session) -> str:
    with translated():
        session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        # Counting must not take more of the server than the dump itself does.
        session.execute("SET LOCAL max_parallel_workers_per_gather = 0")
        row = session.execute("SELECT pg_export_snapshot()").fetchone()
    assert row is not None
    return str(row[0])


def _judge_globals(tail: bytes) -> Mapping[str, object]:
    if archive.TRAILER not in tail:
        raise EvidenceMissing(_TRAILER_MISSING)
    return {}


def end_sessions(session: Session, own: str) -> None:
    """Ends server sessions older attempts of the same operation left behind."""
    prefix = own[: len(application_prefix(""))]
    session.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE starts_with(application_name, %s) AND pid <> pg_backend_pid()",
        [prefix],
    )


@contextmanager
def dump(
    tools_dir: Path, address: Address, scope: Scope, attempt: Attempt, guard: Guard
) -> Generator[PostgreSQLDump]:
    """ToolMissing before anything starts when no client fits the server."""
    with translated(guard):
        with connect(address) as session:
            server = look(session, address)
        chosen = tools.choose(tools_dir, int(server["major"]))
        session = PostgreSQLDump(Parts(nearest(address), scope, chosen), attempt, guard)
        session.look()
    try:
        yield session
    finally:
        session.close()
