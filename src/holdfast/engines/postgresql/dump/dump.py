"""Dumps one server: a member for the globals and one per database.

Each database is dumped and counted in one snapshot. A session of ours exports it, pg_dump
imports it, and while pg_dump reads, the same session counts rows. A dump whose tables were
rewritten before pg_dump had its locks begins again. A table that is rewritten before it is
counted, which can only be after pg_dump has read it, is counted in the archive.
"""

import threading
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

from holdfast.contracts.engine import (
    COUNTED_IN_ARCHIVE,
    WARNINGS,
    Address,
    Attempt,
    Inventory,
    Member,
    Scope,
    Source,
    warning,
)
from holdfast.domain.errors import (
    AddonRefused,
    AddonUnavailable,
    ChildFailed,
    EvidenceMissing,
    Failure,
)
from holdfast.engines.postgresql.client import blockers, commands, facts, tools
from holdfast.engines.postgresql.client.address import Session, connect, through_socket
from holdfast.engines.postgresql.client.databases import Canceller
from holdfast.engines.postgresql.client.facts import Facts
from holdfast.engines.postgresql.client.object_names import (
    application,
    application_prefix,
    is_older_session,
    member_names,
)
from holdfast.engines.postgresql.client.server_errors import statement_failure, translated
from holdfast.engines.postgresql.client.tools import ToolSet
from holdfast.engines.postgresql.dump import archive, rewritten_tables, warnings
from holdfast.engines.postgresql.dump.inventory import (
    COUNTING_VERSION,
    Count,
    Name,
    count,
    dotted,
    merge,
)
from holdfast.engines.postgresql.dump.probe import inspect_server
from holdfast.engines.postgresql.hosting.administrator import as_reader, grant_reader_access
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.patience import patient
from holdfast.kit.processes.pipes import PipeSource, lines_said

GLOBALS = Member("globals.sql", archive.GLOBALS, None)
_MAX_LOOKS = 200  # at sessions that are being ended, every 50 ms
_MAX_TRIES = 10

_WORKING = (
    "SELECT FROM pg_stat_activity WHERE application_name = %s AND state = 'active'"
    " AND coalesce(wait_event_type, '') NOT IN ('Lock', 'Client')"
)


class PostgreSQLDump:
    """The DumpSession of one attempt."""

    def __init__(
        self, address: Address, scope: Scope, tools: ToolSet, attempt: Attempt, guard: Guard
    ) -> None:
        self._address = address
        self._scope = scope
        self._tools = tools
        self._attempt = attempt
        self._application = application(attempt)
        self._guard = guard
        self._counts: dict[str, Count] = {}
        self._sources: list[Source] = []
        self._superuser = False
        self._globals_database = address.database
        self._warnings: list[Mapping[str, str | None]] = []
        self.members: Sequence[Member] = ()
        self.facts: Mapping[str, object] = {}

    def prepare(self) -> None:
        """Fills in members and facts; ends sessions that older attempts of this operation left."""
        with connect(self._address, application=self._application) as session:
            server = inspect_server(session, self._address)
            self._globals_database = session.info.dbname
            end_sessions(session, self._attempt)
            grant_reader_access(session, self._address)
            databases = facts.databases(session)
            cluster_facts = {
                "roles": facts.roles(session) if self._scope.users else [],
                "everybody": facts.role_all_settings(session) if self._scope.users else [],
                "tablespaces": facts.tablespaces(session),
            }
            if self._scope.database is None:
                self._warn(warnings.server_warnings(session, self._address))
        dumped, skipped = self._inspect(databases, str(server["bootstrap"]))
        names = member_names(str(database["name"]) for database in dumped)
        self._superuser = bool(server["super"])
        self.members = (
            *([GLOBALS] if self._scope.users else []),
            *(Member(file, archive.ARCHIVE, name) for name, file in names.items()),
        )
        self.facts = {
            **cluster_facts,
            "server": {key: server[key] for key in ("version", "major", "bootstrap", "user")},
            "users": self._scope.users,
            "passwords": self._superuser,
            "tools": {"version": self._tools.version, "major": self._tools.major},
            "consistency": "each database is one snapshot; databases and roles follow each other",
            "databases": [{**database, "member": names[database["name"]]} for database in dumped],
            "skipped": skipped,
            "counting": COUNTING_VERSION,
            WARNINGS: self._warnings,
        }

    def _warn(self, findings: Iterable[Mapping[str, str | None]]) -> None:
        for finding in findings:
            self._warnings.append(finding)
            self._attempt.say(warnings.sentence(finding))

    def _inspect(self, databases: Sequence[Facts], bootstrap: str) -> tuple[list[Facts], list[str]]:
        """The facts of databases to dump, and sentences about those that are skipped."""
        dumped: list[Facts] = []
        skipped: list[str] = []
        for database in databases:
            name = str(database["name"])
            if self._scope.database not in (None, name):
                continue
            with connect(self._address, name, self._application) as session:
                if name == "postgres" and (
                    facts.is_fresh(session, database, bootstrap)
                    if self._address.owner is None
                    # The owner of a server of ours has grants there from the beginning.
                    else not facts.has_user_objects(session) and not database["settings"]
                ):
                    skipped.append("postgres: it holds no user objects")
                    continue
                recorded = database if self._scope.users else facts.without_users(database)
                dumped.append({**recorded, **facts.inside_database(session)})
                self._warn(warnings.database_warnings(session))
        if self._scope.database is not None and not dumped:
            raise AddonRefused(f"the server has no database {self._scope.database} to dump")
        return dumped, skipped

    def open(self, member: Member) -> Source:
        if member.database is not None:
            session = connect(as_reader(self._address), member.database, self._application)
            try:
                source: Source = DatabaseSource(
                    self._tools,
                    self._address,
                    self._counts,
                    session,
                    self._guard,
                    self._attempt.say,
                )
            except BaseException:
                session.close()
                raise
        else:
            command = commands.pg_dumpall_globals(
                self._tools,
                self._address,
                self._application,
                database=self._globals_database,
                passwords=self._superuser,
            )
            source = PipeSource(command, self._guard, _judge_globals)
        self._sources.append(source)
        return source

    def inventory(self) -> Inventory:
        """EvidenceMissing when a database was not dumped to its end."""
        expected = {member.database for member in self.members if member.database is not None}
        if expected != self._counts.keys():
            missing = ", ".join(sorted(expected - self._counts.keys()))
            raise EvidenceMissing(f"these databases were not counted: {missing}")
        return merge(self._counts)

    def is_working(self) -> bool:
        """Does the server work on a query of this dump, rather than wait for locks or for us?"""
        with connect(self._address) as session:
            row = session.execute(_WORKING, [self._application]).fetchone()
        return row is not None

    def close(self) -> None:
        for source in self._sources:
            source.close()


class DatabaseSource:
    """pg_dump of one database, and the count of the same snapshot beside it."""

    def __init__(
        self,
        tools: ToolSet,
        address: Address,
        counts: dict[str, Count],
        session: Session,
        guard: Guard,
        say: Callable[[str], None],
    ) -> None:
        self._session = session
        self._say = say
        self._counts = counts
        self._guard = guard
        self._trouble: Failure | None = None
        self._refusals: Sequence[Failure] = ()
        self._name = session.info.dbname
        self._uncounted: Collection[Name] = ()
        self._canceller = Canceller(session)
        self._release = guard.adopt(self._canceller.start)
        self._source = self._start_pg_dump(tools, address)
        self._counter = threading.Thread(target=self._count, daemon=True)
        self._counter.start()

    def _start_pg_dump(self, tools: ToolSet, address: Address) -> PipeSource:
        """Starts pg_dump until it has locked all tables, none of them rewritten since the snapshot.

        EvidenceMissing when tables are rewritten during each of several tries.
        """
        names: Collection[Name] = ()
        for _ in range(_MAX_TRIES):
            with translated():
                snapshot = rewritten_tables.export_snapshot(self._session)
            command = commands.pg_dump(
                tools,
                address,
                self._name,
                encoding=str(self._session.info.parameter_status("server_encoding")),
                snapshot=snapshot,
                application=self._session.info.get_parameters()["application_name"],
            )
            source = PipeSource(command, self._guard, self._judge)
            try:
                source.await_output()
                with translated():
                    names = rewritten_tables.rewritten(self._session)
                    if not names:
                        return source
                    self._session.execute("ROLLBACK")
            except BaseException:
                source.close()
                raise
            source.close()
        listed = ", ".join(".".join(name) for name in list(names)[:5])
        raise EvidenceMissing(
            f"{listed} was truncated or rewritten in each of {_MAX_TRIES} tries to begin the dump"
            f" of {self._name}; take the backup when whatever does that rests"
        )

    @property
    def pid(self) -> int:
        return self._source.pid

    def read(self, size: int) -> bytes:
        return self._source.read(size)

    def finish(self) -> Mapping[str, object]:
        """The facts of the member. Raises the count's refusal instead of pg_dump's failure.

        The refusal of a count is the better reason: it names the privilege that is missing.
        """
        try:
            source_facts = self._source.finish()
        except ChildFailed as error:
            self._counter.join()
            for failure in (self._trouble, *self._refusals):
                if isinstance(failure, AddonRefused):
                    raise failure from error
            raise
        uncounted = sorted(dotted(name) for name in self._uncounted)
        tables = len(self._counts[self._name].tables) + len(uncounted)
        complaints = [warning(self._name, "pg_dump", line) for line in lines_said(source_facts)]
        return {
            **source_facts,
            "tables": tables,
            "timeZone": commands.TIME_ZONE,
            COUNTED_IN_ARCHIVE: uncounted,
            WARNINGS: complaints,
        }

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
            counted = count(self._session, self._name)
            self._uncounted = {*rewritten_tables.rewritten(self._session), *counted.uncounted}
        except psycopg.Error as error:
            self._trouble = statement_failure(error)
            return
        self._refusals = [statement_failure(error) for error in counted.uncounted.values()]
        for name, refusal in zip(counted.uncounted, self._refusals, strict=True):
            self._say(f"{dotted(name)} is counted where it is stored: {refusal.message}")
        uncounted = {dotted(name) for name in self._uncounted}
        tables = [table for table in counted.tables if table.name not in uncounted]
        self._counts[self._name] = Count(tables, counted.objects, counted.uncounted)

    def close(self) -> None:
        self._release()
        self._source.close()
        if self._counter.is_alive():
            self._canceller.start()
        self._counter.join(10)
        self._canceller.give_up()
        self._session.close()


def _judge_globals(tail: bytes) -> Mapping[str, object]:
    if archive.TRAILER not in tail:
        raise EvidenceMissing("the globals do not end like a finished dump")
    return {}


def end_sessions(session: Session, attempt: Attempt) -> None:
    """Ends sessions that older attempts of the same operation left, and waits until they are gone.

    Sessions of newer attempts are left alone: then this attempt was taken for dead.
    """
    prefix = application_prefix(attempt.op)
    rows = session.execute(
        "SELECT pid, application_name FROM pg_stat_activity"
        " WHERE starts_with(application_name, %s) AND pid <> pg_backend_pid()",
        [prefix],
    ).fetchall()
    older = [pid for pid, name in rows if is_older_session(name, attempt)]
    session.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) pid", [older])
    for _ in range(_MAX_LOOKS):
        remaining = "SELECT FROM pg_stat_activity WHERE pid = ANY(%s)"
        if session.execute(remaining, [older]).rowcount == 0:
            return
        session.execute("SELECT pg_sleep(0.05)")
    raise AddonUnavailable(f"sessions of an attempt before this one do not end: {older}")


@contextmanager
def dump(
    tools_dir: Path, address: Address, scope: Scope, attempt: Attempt, guard: Guard
) -> Generator[PostgreSQLDump]:
    """Opens the dump. ToolMissing, before anything starts, when no client fits the server."""
    with translated(guard):
        with connect(address) as session:
            server = inspect_server(session, address)
        chosen = tools.choose(tools_dir, int(server["major"]))
        session = PostgreSQLDump(through_socket(address), scope, chosen, attempt, guard)
        session.prepare()
    try:
        with (
            patient(guard, session.is_working),
            blockers.report_blockers(address, application(attempt), attempt.say),
        ):
            yield session
    finally:
        session.close()
