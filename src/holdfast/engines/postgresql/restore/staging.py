"""Loads a dump into staging databases beside what a server holds.

One more small database, the ledger, holds what this restore must remember on the server itself:
which roles it made (a discard removes them again) and which statements on roles wait for the swap.
Roles and their record are written in one transaction. There is no ledger where nothing is to be
remembered: a database is hundreds of files, which the server has to make and to flush.

The sessions that load do not wait until each commit is on the disk. The last statement for a staged
database is a commit that is waited for: the server has a single log, so all before it is durable.

Creating a database takes a while, so the staged ones are created in a thread, in their order: the
first while its dump is examined, the next one while one is loaded. They are counted while the
server collects statistics on them.
"""

import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Composed

from holdfast.contracts.engine import Address, Attempt, Dump, Fetch, Inventory, Skipped
from holdfast.engines.postgresql.client import facts, tools
from holdfast.engines.postgresql.client.address import Session, connect, through_socket
from holdfast.engines.postgresql.client.databases import cancelled_on_stop, maintenance, names
from holdfast.engines.postgresql.client.facts import Facts
from holdfast.engines.postgresql.client.object_names import application
from holdfast.engines.postgresql.client.server_errors import translated
from holdfast.engines.postgresql.client.tools import ToolSet
from holdfast.engines.postgresql.dump import archive
from holdfast.engines.postgresql.dump.dump import end_sessions
from holdfast.engines.postgresql.dump.inventory import (
    COUNTING_VERSION,
    RECOUNTED_KINDS,
    Count,
    count,
    count_rows_by_copy,
    dotted,
    merge,
)
from holdfast.engines.postgresql.hosting.administrator import (
    READER,
    admin_of,
    reserved_settings,
    settable_settings,
)
from holdfast.engines.postgresql.load.pg_restore import Loading, SeparateEntries
from holdfast.engines.postgresql.load.planner_statistics import AnalyzeQueue
from holdfast.engines.postgresql.load.retries import Retries
from holdfast.engines.postgresql.load.table_checks import TableChecks
from holdfast.engines.postgresql.restore import database_name, ledger, locales, properties
from holdfast.engines.postgresql.restore.globals import GlobalsPlan, Target, plan_globals
from holdfast.engines.postgresql.restore.layout import Placement, origin, placements, section
from holdfast.engines.postgresql.restore.ledger import clear, execute_each
from holdfast.engines.staging_names import ledger_database
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.together import together

_MAX_ANALYZE_SESSIONS = 4

SEVERAL_READERS_BYTES = 256 << 20
"""From this size of a dump on it pays to read it several times."""


class Staging:
    """One attempt to load one dump into staging databases."""

    _created_with = SQL("")

    def __init__(
        self, tools_dir: Path, address: Address, dump: Dump, attempt: Attempt, guard: Guard
    ) -> None:
        self._tools_dir = tools_dir
        self._address = through_socket(address)
        self._placed = placements(address, dump, attempt)
        self._loader_address = self._address
        self._dump = dump
        self._attempt = attempt
        self._guard = guard
        self._application = application(attempt)
        self._properties: list[Skipped] = []

    def run(self, fetch: Fetch) -> Inventory:
        with self._maintenance() as session:
            self._attempt.confirm()
            end_sessions(session, self._attempt)
            clear(session, self._address, self._attempt)
            server = facts.server(session)
            target = self._target(session, server)
            replaces = {p.name for p in self._placed} & set(names(session))
        skipped: list[Skipped] = []
        with self._creating(target) as creations:
            plan = self._globals(fetch, target)
            for note in plan.notes:
                self._attempt.say(note)
            if origin(self._dump).major < 15 <= target.major:
                self._attempt.say("since PostgreSQL 15 not everybody may create in schema public")
            if plan.made or plan.later or not replaces:
                skipped += self._write_ledger(plan, target)
            counts: dict[str, Count] = {}
            for placement in self._placed:
                ready = partial(self._hand_over, placement, creations[placement.name])
                counted, failed = self._load(placement, fetch, server, target, ready)
                counts[placement.name] = counted
                skipped += failed
        recorded = {p.name for p in self._placed if p.member is not None}
        loaded = merge({name: count for name, count in counts.items() if name in recorded})
        promised = {(table.database, table.name) for table in self._dump.inventory.tables}
        counted_differently = self._dump.facts.get("counting") != COUNTING_VERSION
        return replace(
            loaded,
            # Without empty tables whose rows were not dumped: a standby cannot read some tables.
            tables=[t for t in loaded.tables if t.rows or (t.database, t.name) in promised],
            skipped=tuple(skipped),
            left_out=RECOUNTED_KINDS if counted_differently else frozenset(),
        )

    def _maintenance(self):
        return maintenance(self._address, self._application, guard=self._guard)

    @contextmanager
    def _creating(self, target: Target) -> Generator[Mapping[str, Future[None]]]:
        """Creates the staged databases in a thread: futures by their final names."""
        with ThreadPoolExecutor(1, thread_name_prefix="making") as pool:
            try:
                yield {p.name: pool.submit(self._create, p, target) for p in self._placed}
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _target(self, session: Session, server: Facts) -> Target:
        return Target(
            major=server["major"],
            superuser=server["super"],
            roles=frozenset(str(role["name"]) for role in facts.roles(session)),
            protected=frozenset(
                (
                    self._address.user,
                    str(server["bootstrap"]),
                    READER,
                    *([self._address.owner] if self._address.owner else []),
                )
            ),
            tablespaces=frozenset(facts.tablespaces(session)),
            reserved=None if self._address.owner is None else reserved_settings(session),
            settable=None if server["super"] else settable_settings(session),
            admin_of=None if server["super"] else admin_of(session),
        )

    def _globals(self, fetch: Fetch, target: Target) -> GlobalsPlan:
        members = [m for m in self._dump.members if m.format == archive.GLOBALS]
        text = "".join(archive.collect(fetch(member.name)).decode() for member in members)
        plan = plan_globals(text, origin(self._dump), target)
        everybody = self._dump.facts.get("everybody")
        if isinstance(everybody, list) and everybody:
            plan.set_for_all_roles([str(setting) for setting in everybody], target)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        return plan

    def _write_ledger(self, plan: GlobalsPlan, target: Target) -> Sequence[Skipped]:
        with self._maintenance() as session:
            session.execute(
                properties.creation_statement(ledger_database(self._attempt), None, target.major)
            )
        with (
            translated(self._guard),
            connect(self._address, ledger_database(self._attempt), self._application) as session,
        ):
            skipped = ledger.write(session, plan, self._attempt.say, superuser=target.superuser)
        if plan.made:
            self._attempt.say(f"made {len(plan.made)} roles: {', '.join(plan.made)}")
        return skipped

    def _load(
        self,
        placement: Placement,
        fetch: Fetch,
        server: Facts,
        target: Target,
        ready: Callable[[], None],
    ) -> tuple[Count, Sequence[Skipped]]:
        checks = TableChecks()
        if placement.member is None:
            ready()
        else:
            self._attempt.say(f"loading {placement.name}")
            checks = self._restore(placement, fetch, server, target, ready)
        with self._within(placement, self._guard) as session:
            counted = self._count(session, placement, checks)
        with self._inside(self._address, placement, self._guard) as session:
            self._finish(session, placement)
        own = [item for item in self._properties if item.database == placement.name]
        return counted, [*own, *checks.skipped]

    def _create(self, placement: Placement, target: Target) -> None:
        """Creates a database: empty, and without grants until it has its owner."""
        with self._maintenance() as session:
            facts = locales.adapted(session, placement.facts, self._dump.locale, self._attempt.say)
            statement = properties.creation_statement(
                placement.staged, facts, target.major, target.tablespaces
            )
            session.execute(SQL("{}{}").format(statement, self._created_with))

    def _hand_over(self, placement: Placement, creation: Future[None]) -> None:
        """Waits until a staged database is created, and gives it to its owner."""
        creation.result()
        if placement.facts is not None:
            with self._maintenance() as session, session.transaction():
                ownership = properties.ownership(placement.staged, placement.facts)
                self._apply(session, ownership, placement)
        with self._inside(self._address, placement, self._guard) as session:
            database_name.disguise(session, placement)
            if placement.facts is not None:
                removals = properties.removals(placement.facts)
                self._apply(session, removals, placement)

    def _restore(
        self,
        placement: Placement,
        fetch: Fetch,
        server: Facts,
        target: Target,
        ready: Callable[[], None],
    ) -> TableChecks:
        """`ready` waits for the database to load into."""
        chosen = tools.choose(
            self._tools_dir,
            int(server["major"]),
            archive_major=int(section(self._dump, "tools")["major"]),
        )
        tablespaces = self._dump.facts.get("tablespaces")
        has_tablespaces = False
        if isinstance(tablespaces, list):
            has_tablespaces = set(tablespaces) <= target.tablespaces  # pyright: ignore[reportUnknownArgumentType]
        users = self._dump.facts.get("users", True)
        unused = self._left_out(tablespaces=not has_tablespaces, users=not users)
        rows = {t.name: t.rows for t in self._dump.inventory.tables if t.database == placement.name}
        loading = Loading(
            chosen,
            self._loader_address,
            placement.staged,
            self._application,
            leave_out=unused,
            rows=rows,
            rereadable=self._dump.near and self._dump.size >= SEVERAL_READERS_BYTES,
            retries=Retries(
                chosen,
                placement.name,
                properties.search_path(placement.facts),
                [f"--no-{kind}" for kind in unused],
                rows,
                self._attempt.say,
            ),
            separate=self._separate_entries(placement, chosen),
            settings=self._money_settings(placement),
        )
        return loading.run(partial(fetch, str(placement.member)), ready, self._guard)

    def _money_settings(self, placement: Placement) -> Mapping[str, str]:
        """Amounts of money are written in the format of the source's locale, and read in the
        same."""
        locale = None if placement.facts is None else placement.facts.get("money")
        if locale is None:
            return {}
        with self._maintenance() as session:
            try:
                session.execute("SELECT set_config('lc_monetary', %s, false)", [locale])
            except psycopg.errors.InvalidParameterValue:
                self._attempt.say(f"the server has no locale {locale}: look at columns of money")
                return {}
        return {"lc_monetary": str(locale)}

    def _left_out(self, *, tablespaces: bool, users: bool) -> Sequence[str]:
        """Kinds of entries that the target has no use for."""
        return [
            *(["tablespaces"] if tablespaces else []),
            *(["owner", "privileges"] if users else []),
        ]

    def _separate_entries(self, placement: Placement, chosen: ToolSet) -> SeparateEntries | None:  # noqa: ARG002
        """None: the loader may carry out all entries."""
        return None

    def _count(self, session: Session, placement: Placement, checks: TableChecks) -> Count:
        tables = AnalyzeQueue(session, checks.analysed)
        counted: list[Count] = []

        def rows(part: Guard) -> None:
            with translated(part), cancelled_on_stop(session, part):
                counted.append(
                    count(session, placement.name, checks.rows, fallback=count_rows_by_copy)
                )

        def statistics(part: Guard) -> None:
            with self._within(placement, part) as analyst:
                analyst.execute("SET synchronous_commit = off")
                tables.analyse(analyst)

        analysts = min(os.cpu_count() or 1, _MAX_ANALYZE_SESSIONS, len(tables))
        together([rows, *[statistics] * analysts], self._guard)
        for name, error in counted[0].uncounted.items():
            reason = " ".join(str(error).split())
            self._attempt.say(f"{placement.name}: {dotted(name)} cannot be counted: {reason}")
        return counted[0]

    def _within(self, placement: Placement, guard: Guard) -> AbstractContextManager[Session]:
        """A session of the loader: even a look at a table may run code that came with it."""
        return self._inside(self._loader_address, placement, guard)

    @contextmanager
    def _inside(self, address: Address, placement: Placement, guard: Guard) -> Generator[Session]:
        with (
            translated(guard),
            connect(address, placement.staged, self._application) as session,
            cancelled_on_stop(session, guard),
        ):
            yield session

    def _finish(self, session: Session, placement: Placement) -> None:
        """Makes the staged database durable and complete except for its name. Settings come
        last."""
        database_name.undisguise(session)
        session.execute("SET synchronous_commit = on")  # a role may have a weaker setting
        if placement.facts is not None:
            own = self._settings(session, placement.staged, placement.facts)
            self._apply(session, own, placement)
        for statement in properties.final_statements(placement.staged, placement.facts):
            session.execute(statement)

    def _apply(
        self, session: Session, statements: Iterator[Composed], placement: Placement
    ) -> None:
        """Executes statements for a database's properties; those the server refuses are named."""
        self._properties += execute_each(
            session, statements, self._attempt.say, placement.name, placement.staged
        )

    def _settings(self, session: Session, staged: str, recorded: Facts) -> Iterator[Composed]:
        """The settings that this session may make."""
        if session.info.parameter_status("is_superuser") == "off":
            allowed = settable_settings(session)
            names = properties.setting_names(recorded)
            for name in sorted(names - allowed):
                self._attempt.say(f"left out, for only a superuser may set it: {name} of {staged}")
            recorded = properties.with_settings(recorded, names & allowed)
        return properties.settings(staged, recorded)
