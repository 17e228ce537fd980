"""Runs pg_restore for one database, and makes indexes of tables while others are loaded.

All but the data is in the table of contents, which is at the front of an archive: the first
megabytes are kept in memory while they pass, and serve as a file for parallel sessions. Where the
table of contents is larger, everything goes through one session.

The data is a stream, and a stream is read by one session. As soon as a table is in, other sessions
make its indexes, count and analyse it. Where the archive may be read again and there are more than
two processors, several sessions load, each reading from the start and skipping what others load.
Objects that need more than one table are made when all tables are in, and event triggers last of
all: they fire on what is done after them.

A failure does not end the load. Failed entries are tried again at the end, and named when they fail
for good.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import Protocol

from holdfast.contracts.engine import Address, Skipped
from holdfast.domain.errors import ChildFailed, NotSupported
from holdfast.engines.postgresql.client import commands
from holdfast.engines.postgresql.client.address import Session, connect
from holdfast.engines.postgresql.client.databases import cancelled_on_stop
from holdfast.engines.postgresql.client.server_errors import translated
from holdfast.engines.postgresql.client.tools import ToolSet
from holdfast.engines.postgresql.load import early_indexes, load_plan, table_checks
from holdfast.engines.postgresql.load.early_indexes import IndexPlan
from holdfast.engines.postgresql.load.failures import ErrorListener, Failures, is_data, number_of
from holdfast.engines.postgresql.load.load_plan import (
    Lists,
    Share,
    is_event_trigger,
    is_index_attach,
    is_row_security,
)
from holdfast.engines.postgresql.load.loaded_tables import LoadedTables
from holdfast.engines.postgresql.load.retries import Archive, Retries
from holdfast.engines.postgresql.load.table_checks import TableChecks, TablesByLine
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.memfile import file_of
from holdfast.kit.processes.pipes import feed
from holdfast.kit.processes.process import Command, require_success, run
from holdfast.kit.processes.together import together

_HEAD_BYTES = (1 << 20, 16 << 20)
"""The first holds the table of contents of most archives."""
_MAX_HEAD_BYTES = 256 << 20
"""For archives that can only be loaded by their table of contents."""
_MAX_SESSIONS = 8
"""More would be too much for a server's disks, and for its memory for sorting."""
_MAX_READERS = 4
"""Each of these sessions reads the whole archive."""

_NOT_DURABLE_YET = {"synchronous_commit": "off"}
"""The end of a restore makes all of it durable: see `Staging`."""
_NO_HELPERS = {"max_parallel_maintenance_workers": "0"}
"""For a session beside others: its parallel workers would take a processor from them."""
_EARLY_WRITES = {"backend_flush_after": "2MB"}
"""For a session that loads: its writes go to the disk meanwhile, not all at the end, when the old
database is dropped and the server flushes everything."""
_MAY_WRITE_EARLY = (
    "SELECT FROM pg_settings"
    " WHERE name = 'backend_flush_after' AND setting = '0' AND context = 'user'"
)

Stream = Generator[bytes, None, None]
Read = Callable[[], Iterator[bytes]]
"""Opens the archive at its start; gives its plain bytes."""


class SeparateEntries(Protocol):
    """Entries of an archive that another session than the loader carries out.

    Lines are of pg_restore's list. `skipped` could not be done.
    """

    skipped: list[Skipped]

    def withhold(self, lines: Sequence[str]) -> Sequence[str]:
        """Keeps the entries that are not for the loader; returns the others."""
        ...

    def begin(self, head: str) -> None:
        """Called before anything is loaded. `head` is a file with the table of contents."""
        ...

    def run(self, head: str, loaded: Lists) -> Sequence[str]:
        """Called when all of `loaded` is in. `head` is a file with the table of contents.

        Returns the lines that the loader carries out last.
        """
        ...


@dataclass(frozen=True)
class Loading:
    """The load of one archive into `database`. `leave_out`: see `commands.pg_restore`.

    `rows` of each table, by its name in the inventory. `rereadable`: may the archive be read again?
    `separate` takes the entries that the loader may not carry out. `retries` tries failed entries
    again. `settings` are those of the sessions that load.
    """

    tools: ToolSet
    address: Address
    database: str
    application: str
    leave_out: Sequence[str]
    rows: Mapping[str, int]
    rereadable: bool
    retries: Retries
    separate: SeparateEntries | None = None
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    failures: Failures = field(default_factory=Failures)

    def run(self, read: Read, ready: Callable[[], None], guard: Guard) -> TableChecks:
        """Loads everything. Returns what was counted and analysed on the way.

        `ready` waits for the database: the archive is examined meanwhile.
        """
        sessions = min(os.cpu_count() or 1, _MAX_SESSIONS)
        chunks, front = read(), bytearray()
        for size in _HEAD_BYTES if self.separate is None else (*_HEAD_BYTES, _MAX_HEAD_BYTES):
            while len(front) < size and (chunk := next(chunks, None)) is not None:
                front += chunk
            with file_of(bytes(front[:size])) as head:
                contents = self._contents(head)
                if contents is not None:
                    ready()
                    archive = _Archive(head, _chained(bytes(front), chunks), read)
                    return self._load_in_parallel(archive, contents, guard, sessions)
        if self.separate is not None:
            raise NotSupported("the table of contents of the archive is larger than can be held")
        ready()
        # In one session; without a table of contents failed entries cannot be tried again.
        listener = ErrorListener(self.failures, [])
        feed(self.command(), _chained(bytes(front), chunks), guard, listener.hear, listener.judge)
        failed = self.failures.take()
        if failed:
            reasons = "; ".join(list(failed.values())[:20])
            raise ChildFailed(f"{len(failed)} entries of {self.retries.name} failed: {reasons}")
        return TableChecks()

    def _contents(self, head: str) -> tuple[Lists, IndexPlan] | None:
        """None where the table of contents is longer than the head."""
        listing = run(commands.pg_restore_list(self.tools, "--verbose", head))
        if listing.status != 0:
            return None
        needs = early_indexes.dependencies(listing.stdout.decode(errors="surrogateescape"))
        sections = [
            self._output(commands.pg_restore_list(self.tools, f"--section={section}", head))
            for section in ("pre-data", "data", "post-data")
        ]
        lists = load_plan.lists(*sections)
        if self.separate is not None:
            lists = Lists(*(self.separate.withhold(part) for part in lists))
        constraints = early_indexes.constraints(lists.after)
        with file_of(load_plan.text(constraints)) as list_file:
            script = self._output(commands.pg_restore_script_of(self.tools, list_file, head))
        keys = early_indexes.key_constraints(script)
        return lists, early_indexes.plan_indexes(lists, needs, keys)

    def _output(self, command: Command) -> str:
        return require_success(run(command)).stdout.decode(errors="surrogateescape")

    def _load_in_parallel(
        self, archive: "_Archive", contents: tuple[Lists, IndexPlan], guard: Guard, jobs: int
    ) -> TableChecks:
        head = archive.head
        lists, plan = contents
        if self.separate is not None:
            self.separate.begin(head)
        self.restore(head, [*lists.before, *plan.early], guard)
        with self.session(guard) as session:
            settings = _EARLY_WRITES if session.execute(_MAY_WRITE_EARLY).rowcount else {}
            ordered = load_plan.needs_order(session)
            tables = [] if ordered else table_checks.tables(session)
            if ordered or early_indexes.compares_with_own_code(session):
                plan = plan.postponed(lists.after)
        readers = max(1, min(jobs // 2, _MAX_READERS)) if self.rereadable and not ordered else 1
        shares = load_plan.divide(lists.data, self.rows, readers)
        checks = TableChecks(final=not load_plan.has_refresh(lists.after))
        loaded = LoadedTables(len(shares), max(1, jobs - len(shares)))
        parallel_load = _ParallelLoad(
            self, head, plan, TablesByLine(tables), loaded, jobs, settings, checks
        )
        parallel_load.run(shares, archive, guard)
        self._retry(archive, lists, guard, checks)
        if any(is_row_security(line) for line in plan.rest):
            self._count_unfiltered(checks, guard)
        event_triggers = [line for line in plan.rest if is_event_trigger(line)]
        late_lines = [line for line in plan.rest if line not in event_triggers]
        for attaches, lines in groupby(late_lines, is_index_attach):
            # Sessions that attach indexes side by side leave the partitioned index invalid at
            # times, with stock pg_restore, too: none of them sees that all partitions have one.
            self.restore(head, list(lines), guard, *(() if attaches else (f"--jobs={jobs}",)))
        self._retry(archive, lists, guard, checks)
        if self.separate is not None:
            final_lines = self.separate.run(head, lists)
            self.restore(head, final_lines, guard)
            checks.skipped += self.separate.skipped
            self._retry(archive, [final_lines], guard, checks)
        self.restore(head, event_triggers, guard)
        self._retry(archive, lists, guard, checks)
        return checks

    def _count_unfiltered(self, checks: TableChecks, guard: Guard) -> None:
        """Counts tables that row security will hide from their owner; later only a superuser
        could."""
        with self.session(guard) as session:
            if session.info.parameter_status("is_superuser") == "on":
                return
            for table in table_checks.tables(session):
                if table.name not in checks.rows:
                    guard.check()
                    checks.count_now(session, table)

    def _retry(
        self, archive: "_Archive", lists: Iterable[Sequence[str]], guard: Guard, checks: TableChecks
    ) -> None:
        """Tries failed entries again. Rows that come with them invalidate earlier counts."""
        failed = self.failures.take()
        lines = [line for part in lists for line in part if number_of(line) in failed]
        for number in failed.keys() - {number_of(line) for line in lines}:
            checks.skipped += self.retries.unknown(number, failed[number])
        if not lines:
            return
        if any(is_data(line) for line in lines):
            checks.forget()
        with self.session(guard) as session:
            whole = Archive(archive.head, lambda: _chained(b"", archive.read()))
            checks.skipped += self.retries.run(session, whole, lines, guard)

    def restore(
        self,
        head: str,
        lines: Sequence[str],
        guard: Guard,
        *options: str,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Carries out `lines`, which need nothing but the table of contents."""
        if lines:
            listener = ErrorListener(self.failures, lines)
            with file_of(load_plan.text(lines)) as list_file:
                # Since 15 they say only then which entry they were at.
                words = ("--verbose", f"--use-list={list_file}", *options, head)
                command = self.command(*words, settings=settings)
                feed(command, iter(()), guard, listener.hear, listener.judge)

    @contextmanager
    def session(self, guard: Guard) -> Generator[Session]:
        with (
            translated(guard),
            connect(self.address, self.database, self.application) as session,
            cancelled_on_stop(session, guard),
        ):
            yield session

    def command(self, *options: str, settings: Mapping[str, str] | None = None) -> Command:
        return commands.pg_restore(
            self.tools,
            self.address,
            self.database,
            application=self.application,
            options=[*(f"--no-{kind}" for kind in self.leave_out), *options],
            settings={**_NOT_DURABLE_YET, **self.settings, **(settings or {})},
        )


@dataclass(frozen=True)
class _Archive:
    """A file with its front; all of it from the start, once; a function to read it again."""

    head: str
    whole: Stream
    read: Read


@dataclass
class _ParallelLoad:
    """Sessions that load, with `settings`, and sessions that make indexes and check tables
    beside them."""

    loading: Loading
    head: str
    plan: IndexPlan
    names: TablesByLine
    loaded: LoadedTables
    jobs: int
    settings: Mapping[str, str]
    checks: TableChecks

    def run(self, shares: Sequence[Share], archive: _Archive, guard: Guard) -> None:
        with ExitStack() as opened:  # else a wait for moving bytes would wait for streams left open
            streams = [archive.whole, *(_chained(b"", archive.read()) for _ in shares[1:])]
            for stream in streams:
                opened.enter_context(closing(stream))
            last = max(shares, key=lambda share: share.end)
            loads = [
                partial(self.load_share, share, stream, share is last)
                for share, stream in zip(shares, streams, strict=True)
            ]
            together([*loads, *[self.make_indexes] * self.loaded.sessions], guard)

    def load_share(self, share: Share, chunks: Stream, last: bool, part: Guard) -> None:
        """Loads one share. The session with the `last` data reads the archive to its end.

        Only there does it show that the whole archive is as it was stored.
        """
        tables = load_plan.tables(share.lines)
        with file_of(load_plan.text(share.lines)) as list_file:
            command = self.loading.command(
                "--verbose", f"--use-list={list_file}", settings=self.settings
            )
            listener = ErrorListener(
                self.loading.failures, share.lines, self.loaded.listener(tables)
            )
            feed(command, chunks, part, listener.hear, listener.judge)
        if last:
            deque(chunks, maxlen=0)
        left = self._own(self.loaded.session_ended(tables))
        self.loading.restore(self.head, left, part, f"--jobs={self.jobs}")

    def make_indexes(self, part: Guard) -> None:
        """Makes the indexes of loaded tables; counts and analyses them while others are loaded.

        What is left when all are loaded is counted and analysed later, in several sessions.
        """
        while tables := self.loaded.take(part):
            self.loading.restore(self.head, self._own(tables), part, settings=_NO_HELPERS)
            pairs = [(self.names.get(line), line in self.plan.settled) for line in tables]
            checkable = [(table, settled) for table, settled in pairs if table is not None]
            if not checkable:
                continue
            with self.loading.session(part) as session:
                table_checks.limit_session(session)
                for table, settled in checkable:
                    part.check()
                    if self.loaded.loading_ended:
                        break
                    self.checks.check(session, table, settled=settled)

    def _own(self, tables: Sequence[str]) -> Sequence[str]:
        return [line for table in tables for line in self.plan.own.get(table, ())]


def _chained(head: bytes, chunks: Iterator[bytes]) -> Stream:
    if head:
        yield head
    yield from chunks
