"""One dump in progress: the accounts, and one script with all databases.

The stock tool dumps all databases in one transaction. A session of ours begins another transaction
at the same moment and counts while the tool reads, so the script and the inventory cannot differ.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from holdfast.contracts.engine import (
    WARNINGS,
    Address,
    Attempt,
    Inventory,
    Member,
    Scope,
    Source,
    warning,
)
from holdfast.domain.errors import AddonRefused, EvidenceMissing
from holdfast.engines.mysql.client import commands, facts, object_names, tools
from holdfast.engines.mysql.client.address import connect, nearest, option_file
from holdfast.engines.mysql.client.connection import (
    Session,
    WireError,
    error_number,
    quote_qualified,
)
from holdfast.engines.mysql.client.facts import Facts
from holdfast.engines.mysql.client.server_errors import error_text, translated
from holdfast.engines.mysql.client.tools import ToolSet
from holdfast.engines.mysql.dump import accounts, archive, events, warnings
from holdfast.engines.mysql.dump.consistent_sessions import Tables, lock_tables, read_locked
from holdfast.engines.mysql.dump.inventory import (
    begin_snapshot,
    keeps_history,
    merge,
)
from holdfast.engines.mysql.dump.probe import require_whole_reads, supported_server
from holdfast.engines.mysql.dump.source import BackgroundCount, ScriptSource, TextSource
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.patience import patient
from holdfast.kit.processes.process import Child

ACCOUNTS = Member("accounts.sql", archive.ACCOUNTS, None)
SCRIPT = Member("databases.sql", archive.SCRIPT, None)

_READING_SESSIONS = (
    "SELECT 1 FROM information_schema.processlist WHERE command = 'Query' AND id <> connection_id()"
    " AND info LIKE '%SQL_NO_CACHE%' AND state NOT LIKE 'Waiting for%'"
    " AND state NOT IN ('Writing to net', 'Sending to client')"
)
"""Sessions in which the stock tool reads rows: it marks them with SQL_NO_CACHE."""

_FIRST_READ_BYTES = 1 << 16
_BROKEN_VIEW = (1356, 1449, 1146, 1054, 1305, 1462)


class MySQLDump:
    """The DumpSession of one attempt."""

    def __init__(
        self, address: Address, tool_set: ToolSet, scope: Scope, attempt: Attempt, guard: Guard
    ) -> None:
        self._address = address
        self._tools = tool_set
        self._scope = scope
        self._attempt = attempt
        self._guard = guard
        self._script = ""
        self._source: ScriptSource | None = None
        self._tables: list[tuple[str, Facts]] = []
        self._ignored: list[str] = []
        self._databases_of_ignored: list[str] = []
        self._warnings: list[Mapping[str, str | None]] = []
        self._history = False
        self._events = b""
        self.members: Sequence[Member] = ()
        self.facts: Mapping[str, object] = {}

    def look(self) -> None:
        """Reads the server and fills in `members` and `facts`."""
        with connect(self._address) as session:
            server = supported_server(session, self._address)
            require_whole_reads(session)
            one = self._scope.database
            databases = [
                database
                for database in list(self._restorable_databases(session))
                if one in (None, database["name"])
            ]
            if not databases and (one is not None or not self._scope.users):
                raise AddonRefused(f"the server has no database {one or ''} to dump")
            if self._scope.users:
                self._script = accounts.script(session, server["flavour"], self._address.owner)
            recorded = [self._inspect(session, database) for database in databases]
            names = {str(database["raw"]) for database in databases}
            self._events = events.script(session, sorted(names))
            self._warnings += warnings.of_objects(session, names, server)
            if self._scope.database is None:
                self._warnings += warnings.of_server(session, server)
        self._history = keeps_history(server["flavour"], server["version"]) and keeps_history(
            self._tools.flavour, self._tools.version
        )
        self._warn(recorded)
        self.members = (
            *([ACCOUNTS] if self._scope.users else []),
            *([SCRIPT] if databases else []),
        )
        self.facts = {
            "server": {key: server[key] for key in ("version", "flavour", "user", "lowerCase")},
            "tools": {"version": self._tools.version, "flavour": self._tools.flavour},
            "consistency": "all databases are one snapshot; accounts and definitions of routines,"
            " views, triggers and events were read beside it",
            "accounts": self._scope.users and accounts.UNREADABLE not in self._script,
            "history": self._history,
            "locked": [f"{database}.{table}" for database, table in self.nontransactional],
            "skipped": self._ignored,
            "databases": recorded,
            WARNINGS: self._warnings,
        }

    def _restorable_databases(self, session: Session) -> Iterator[Facts]:
        """Databases with the `name` under which they can be restored; `raw` is the present one.

        Directories that are no database but listed as one are left out with a warning.
        """
        databases = facts.databases(session)
        names = {database["name"] for database in databases}
        for database in databases:
            raw, plain = database["name"], object_names.plain_name(database["name"])
            if raw != plain:
                has_tables = bool(facts.tables(session, raw)) and plain not in names
                self._warnings.append(warnings.of_odd_name(raw, has_tables=has_tables))
                if not has_tables:
                    continue
            yield {**database, "name": plain, "raw": raw}

    def _inspect(self, session: Session, database: Facts) -> Facts:
        raw = str(database["raw"])
        tables = facts.tables(session, raw)
        self._tables += [(raw, table) for table in tables]
        for table in tables:
            if table["type"] != "VIEW":
                continue
            view = f"{raw}.{table['name']}"
            try:
                session.rows(f"SHOW FIELDS FROM {quote_qualified(raw, table['name'])}")
            except WireError as error:
                if error_number(error) not in _BROKEN_VIEW:
                    raise
                # A view whose tables are gone would end the whole dump.
                self._ignored.append(view)
                self._databases_of_ignored.append(object_names.plain_name(raw))
                text = f"view {view} is broken and left out: {error_text(error)}"
                self._warnings.append(warning(raw, table["name"], text))
        return {**database, **facts.needs(session, {**database, "name": raw}, tables)}

    def _warn(self, recorded: list[Facts]) -> None:
        if accounts.UNREADABLE in self._script:
            text = "accounts are left out: the user may not read mysql.user"
            self._warnings.append(warning(None, "accounts", text))
        self._warnings += warnings.of_tables(self._tables, history=self._history)
        self._warnings += warnings.of_references(recorded)
        for entry in self._warnings:
            self._attempt.say(f"warning: {entry['object']}: {entry['text']}")
        if self.nontransactional:
            listed = ", ".join(
                f"{database}.{table}" for database, table in self.nontransactional[:5]
            )
            self._attempt.say(
                f"{len(self.nontransactional)} tables have no transactions and are locked against"
                f" writing while the dump runs: {listed}"
            )

    @property
    def nontransactional(self) -> Tables:
        """Tables that a transaction does not keep unchanged."""
        return [
            (database, table["name"])
            for database, table in self._tables
            if table["type"] in facts.TABLE_TYPES
            and table["engine"] not in (*facts.TRANSACTIONAL, *facts.NO_DATA)
        ]

    @property
    def _base_tables(self) -> Tables:
        return [(db, t["name"]) for db, t in self._tables if t["type"] in facts.TABLE_TYPES]

    def open(self, member: Member) -> Source:
        if member.format == archive.ACCOUNTS:
            return TextSource(self._script.encode())
        with ExitStack() as resources, translated(self._guard):
            count_session = resources.enter_context(connect(self._address))
            lock_session = resources.enter_context(connect(self._address))
            with read_locked(self._address, self._base_tables, self._guard) as lock:
                lock_tables(lock_session, self.nontransactional)
                begin_snapshot(count_session)
                databases = [str(database["raw"]) for database in self._recorded]
                child = Child(
                    commands.dump(
                        self._tools,
                        option_file(self._address),
                        databases,
                        history=self._history,
                        events=not self._events,
                        ignored=self._ignored,
                    )
                )
                resources.callback(child.close)
                resources.callback(self._guard.adopt(child.kill))
                # When the tool writes its transaction has begun.
                first = child.stdout.read(_FIRST_READ_BYTES)
                lock.release()
            resources.callback(self._guard.adopt(count_session.cut))
            names = {str(database["raw"]): str(database["name"]) for database in self._recorded}
            counter = BackgroundCount(count_session, names, history=self._history)
            self._source = ScriptSource(
                child, first, self._events, counter, self._guard, resources.pop_all()
            )
        return self._source

    @property
    def _recorded(self) -> list[Facts]:
        databases = self.facts["databases"]
        assert isinstance(databases, list)
        return list(databases)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]

    def inventory(self) -> Inventory:
        """The counted rows and objects. EvidenceMissing when the script was not read to its end."""
        if SCRIPT not in self.members:
            return Inventory([], {})
        if self._source is None:
            raise EvidenceMissing("the databases were not dumped")
        inventory = merge(self._source.counted())
        objects = {database: dict(kinds) for database, kinds in inventory.objects.items()}
        # Broken views were counted, but are not in the dump.
        for database in self._databases_of_ignored:
            objects[database]["views"] -= 1
            if not objects[database]["views"]:
                del objects[database]["views"]
        return replace(inventory, objects=objects)

    def is_working(self) -> bool:
        """Whether the server reads rows for the stock tool, not waiting for locks or for us."""
        with translated(), connect(self._address) as session:
            return bool(session.rows(_READING_SESSIONS))

    def close(self) -> None:
        if self._source is not None:
            self._source.close()


@contextmanager
def dump(
    tools_dir: Path, address: Address, scope: Scope, attempt: Attempt, guard: Guard
) -> Generator[MySQLDump]:
    """Begins a dump. Raises ToolMissing before anything starts when no client fits the server."""
    with translated(guard):
        with connect(address) as session:
            server = supported_server(session, address)
        tool_set = tools.choose(tools_dir, server["flavour"], server["version"])
        dump_session = MySQLDump(nearest(address), tool_set, scope, attempt, guard)
        dump_session.look()
    try:
        with patient(guard, dump_session.is_working):
            yield dump_session
    finally:
        dump_session.close()
