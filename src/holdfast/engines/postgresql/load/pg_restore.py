"""pg_restore of one database: its data, and beside it the indexes of what is already in.

All but the data is in the table of contents, which is at the front of an archive: the first
megabytes are kept in memory while they pass, and are file enough for sessions side by side. Where
they are not (a table of contents that is larger) everything goes in one session.

The data is a stream, and a stream is read by one session. As soon as a table is in, others make
its indexes, count it and have it analysed. Where the archive may be read again and there are more
than two processors, several sessions load, each reading from the start and skipping what others
load. What needs more than one table comes when all of them are in, event triggers last of all: they
watch what is done after them.

What fails does not end the load. It is tried again in the end, and named if it fails for good.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from holdfast.contracts.engine import Address, Skipped
from holdfast.domain.errors import ChildFailed, NotSupported
from holdfast.engines.postgresql.client import commands
from holdfast.engines.postgresql.client.address import Session, connect
from holdfast.engines.postgresql.client.databases import watched
from holdfast.engines.postgresql.client.server_errors import translated
from holdfast.engines.postgresql.client.tools import ToolSet
from holdfast.engines.postgresql.load import early_indexes, load_plan, table_checks
from holdfast.engines.postgresql.load.early_indexes import Plan
from holdfast.engines.postgresql.load.failures import Failures, Listening, is_data, number_of
from holdfast.engines.postgresql.load.load_plan import Lists, Share, is_filtering, is_watching
from holdfast.engines.postgresql.load.loaded_tables import Following
from holdfast.engines.postgresql.load.retries import Archive, Retrying
from holdfast.engines.postgresql.load.table_checks import Names, Seen
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.memfile import file_of
from holdfast.kit.processes.pipes import feed
from holdfast.kit.processes.process import Command, require_success, run
from holdfast.kit.processes.together import together

_HEADS = (1 << 20, 16 << 20)
"""Bytes: the first holds the table of contents of most archives."""
_LARGEST_HEAD = 256 << 20
"""For an archive that can only be loaded by its table of contents."""
_MOST = 8
"""Sessions: more than a server's disks and the memory for sorting should bear."""
_READERS = 4
"""Sessions that each read the whole archive."""

_DURABLE_LATER = {"synchronous_commit": "off"}
"""Whoever ends a restore makes all of it durable: see `Staging`."""
_ALONE = {"max_parallel_maintenance_workers": "0"}
"""For a session beside others: processes that help it would take a processor from them."""
_WRITES_SOON = {"backend_flush_after": "2MB"}
"""For a session that loads: what it has written goes to the disk meanwhile, not all at the end,
when the old database is dropped and the server writes down everything."""
_MAY_WRITE_SOON = (
    "SELECT FROM pg_settings"
    " WHERE name = 'backend_flush_after' AND setting = '0' AND context = 'user'"
)

Stream = Generator[bytes, None, None]
Read = Callable[[], Iterator[bytes]]
"""Opens the archive at its start; gives its plain bytes."""


class Apart(Protocol):
    """What of an archive is not for the session that loads it. Lines of pg_restore's list.

    `skipped` could not be done.
    """

    skipped: list[Skipped]

    def others(self, lines: Sequence[str]) -> Sequence[str]:
        """Those that are; the rest is remembered, in its order."""
        ...

    def begin(self, head: str) -> None:
        """Before anything is loaded."""
        ...

    def run(self, head: str, loaded: Lists) -> Sequence[str]:
        """When all that was `loaded` is in. `head` is a file with the table of contents. Returns
        what the session that loads makes last."""
        ...


@dataclass(frozen=True)
class Loading:
    """Where to, with what, and what the target has no use for: see `commands.pg_restore`.

    `rows` of each table, by its name in the inventory. `again`: may the archive be read again?
    `apart` takes what whoever loads may not do, and is called when all else is in. `retrying`
    tries again what failed. `more`: settings of the sessions that load.
    """

    tools: ToolSet
    address: Address
    database: str
    application: str
    leave_out: Sequence[str]
    rows: Mapping[str, int]
    again: bool
    retrying: Retrying
    apart: Apart | None = None
    more: Mapping[str, str] = field(default_factory=dict[str, str])
    failures: Failures = field(default_factory=Failures)

    def run(self, read: Read, ready: Callable[[], None], guard: Guard) -> Seen:
        """What has been counted and analysed on the way. `ready` returns when the database is
        there: the archive is looked at meanwhile."""
        sessions = min(os.cpu_count() or 1, _MOST)
        chunks, front = read(), b""
        for size in _HEADS if self.apart is None else (*_HEADS, _LARGEST_HEAD):
            front += _next(chunks, size - len(front))
            with file_of(front[:size]) as head:
                contents = self._contents(head)
                if contents is not None:
                    ready()
                    archive = _Archive(head, _chained(front, chunks), read)
                    return self._side_by_side(archive, contents, guard, sessions)
        if self.apart is not None:
            raise NotSupported("the table of contents of the archive is larger than can be held")
        ready()
        return self._in_one_go(_chained(front, chunks), guard)

    def _in_one_go(self, whole: Stream, guard: Guard) -> Seen:
        """Without a table of contents at hand nothing can be tried again."""
        listening = Listening(self.failures, [])
        feed(self.command(), whole, guard, listening.hear, listening.judge)
        failed = self.failures.take()
        if failed:
            reasons = "; ".join(list(failed.values())[:20])
            raise ChildFailed(f"{len(failed)} entries of {self.retrying.name} failed: {reasons}")
        return Seen()

    def _contents(self, head: str) -> tuple[Lists, Plan] | None:
        """None where the table of contents goes on behind the head."""
        listing = run(commands.pg_restore_list(self.tools, "--verbose", head))
        if listing.status != 0:
            return None
        needs = early_indexes.dependencies(listing.stdout.decode(errors="surrogateescape"))
        lists = self._lists(head)
        return lists, early_indexes.planned(lists, needs, self._keys(head, lists.after))

    def _lists(self, head: str) -> Lists:
        sections = ("pre-data", "data", "post-data")
        lists = load_plan.lists(*(self._listed(head, section) for section in sections))
        if self.apart is None:
            return lists
        return Lists(*(self.apart.others(part) for part in lists))

    def _side_by_side(
        self, archive: "_Archive", contents: tuple[Lists, Plan], guard: Guard, jobs: int
    ) -> Seen:
        head = archive.head
        lists, plan = contents
        if self.apart is not None:
            self.apart.begin(head)
        self.restore(head, [*lists.before, *plan.early], guard)
        with self.session(guard) as session:
            settings = _WRITES_SOON if session.execute(_MAY_WRITE_SOON).rowcount else {}
            ordered = load_plan.needs_order(session)
            tables = [] if ordered else table_checks.tables(session)
            if ordered or early_indexes.compares_with_own_code(session):
                plan = plan.postponed(lists.after)
        readers = max(1, min(jobs // 2, _READERS)) if self.again and not ordered else 1
        shares = load_plan.divided(lists.data, self.rows, readers)
        checks = Seen(counts=not load_plan.refreshes(lists.after))
        following = Following(len(shares), max(1, jobs - len(shares)))
        beside = _Beside(self, head, plan, Names(tables), following, jobs, settings, checks)
        beside.run(shares, archive, guard)
        self._retry(archive, lists, guard, checks)
        if any(is_filtering(line) for line in plan.rest):
            self._count_unfiltered(checks, guard)
        event_triggers = [line for line in plan.rest if is_watching(line)]
        rest = [line for line in plan.rest if line not in event_triggers]
        self.restore(head, rest, guard, f"--jobs={jobs}")
        self._retry(archive, lists, guard, checks)
        if self.apart is not None:
            last = self.apart.run(head, lists)
            self.restore(head, last, guard)
            checks.skipped += self.apart.skipped
            self._retry(archive, [last], guard, checks)
        self.restore(head, event_triggers, guard)
        self._retry(archive, lists, guard, checks)
        return checks

    def _count_unfiltered(self, checks: Seen, guard: Guard) -> None:
        """Tables whose owner will be filtered, too, can be counted now and by nobody but a
        superuser later."""
        with self.session(guard) as session:
            if session.info.parameter_status("is_superuser") == "on":
                return
            for table in table_checks.tables(session):
                if table.name not in checks.rows:
                    guard.check()
                    checks.look_early(session, table)

    def _retry(
        self, archive: "_Archive", lists: Iterable[Sequence[str]], guard: Guard, checks: Seen
    ) -> None:
        """What was counted and analysed of tables before does not hold for them any more."""
        failed = self.failures.take()
        lines = [line for part in lists for line in part if number_of(line) in failed]
        for number in failed.keys() - {number_of(line) for line in lines}:
            checks.skipped += self.retrying.unknown(number, failed[number])
        if not lines:
            return
        if any(is_data(line) for line in lines):
            checks.forget()
        with self.session(guard) as session:
            whole = Archive(archive.head, lambda: _chained(b"", archive.read()))
            checks.skipped += self.retrying.run(session, whole, lines, guard)

    def _listed(self, head: str, section: str) -> str:
        listing = commands.pg_restore_list(self.tools, f"--section={section}", head)
        return require_success(run(listing)).stdout.decode(errors="surrogateescape")

    def _keys(self, head: str, after: Sequence[str]) -> frozenset[str]:
        with file_of(load_plan.text(early_indexes.constraints(after))) as list_file:
            script = commands.pg_restore_script_of(self.tools, list_file, head)
            return early_indexes.keys(
                require_success(run(script)).stdout.decode(errors="surrogateescape")
            )

    def restore(
        self,
        head: str,
        lines: Sequence[str],
        guard: Guard,
        *options: str,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """What lies in the table of contents of what is listed."""
        if lines:
            listening = Listening(self.failures, lines)
            with file_of(load_plan.text(lines)) as list_file:
                command = self.command(f"--use-list={list_file}", *options, head, settings=settings)
                feed(command, iter(()), guard, listening.hear, listening.judge)

    @contextmanager
    def session(self, guard: Guard) -> Generator[Session]:
        with (
            translated(guard),
            connect(self.address, self.database, self.application) as session,
            watched(session, guard),
        ):
            yield session

    def command(self, *options: str, settings: Mapping[str, str] | None = None) -> Command:
        return commands.pg_restore(
            self.tools,
            self.address,
            self.database,
            application=self.application,
            options=[*(f"--no-{kind}" for kind in self.leave_out), *options],
            settings={**_DURABLE_LATER, **self.more, **(settings or {})},
        )


@dataclass(frozen=True)
class _Archive:
    """The name of a file with its front; all of it from the start, once; how to read it again."""

    head: str
    whole: Stream
    read: Read


@dataclass
class _Beside:
    """The sessions that load, and those that make and look at what is in, side by side.

    `settings` are for those that load.
    """

    loading: Loading
    head: str
    plan: Plan
    names: Names
    following: Following
    jobs: int
    settings: Mapping[str, str]
    seen: Seen

    def run(self, shares: Sequence[Share], archive: _Archive, guard: Guard) -> None:
        with ExitStack() as opened:  # or who waits for bytes to move would wait for those left over
            streams = [archive.whole, *(_chained(b"", archive.read()) for _ in shares[1:])]
            for stream in streams:
                opened.enter_context(closing(stream))
            last = max(shares, key=lambda share: share.end)
            loads = [
                partial(self._load, share, stream, share is last)
                for share, stream in zip(shares, streams, strict=True)
            ]
            together([*loads, *[self._follow] * self.following.sessions], guard)

    def _load(self, share: Share, chunks: Stream, last: bool, part: Guard) -> None:
        """Who finds data last reads to the end, where it shows that all is as it was stored."""
        tables = load_plan.tables(share.lines)
        with file_of(load_plan.text(share.lines)) as list_file:
            command = self.loading.command(
                "--verbose", f"--use-list={list_file}", settings=self.settings
            )
            listening = Listening(self.loading.failures, share.lines, self.following.heard(tables))
            feed(command, chunks, part, listening.hear, listening.judge)
        if last:
            deque(chunks, maxlen=0)
        left = self._own(self.following.ended(tables))
        self.loading.restore(self.head, left, part, f"--jobs={self.jobs}")

    def _follow(self, part: Guard) -> None:
        while tables := self.following.take(part):
            self.loading.restore(self.head, self._own(tables), part, settings=_ALONE)
            self._look(tables, part)

    def _own(self, tables: Sequence[str]) -> Sequence[str]:
        return [line for table in tables for line in self.plan.own.get(table, ())]

    def _look(self, tables: Sequence[str], part: Guard) -> None:
        """While others are loaded; at what is left then, several sessions look at once."""
        pairs = [(self.names.get(line), line in self.plan.settled) for line in tables]
        checkable = [(table, settled) for table, settled in pairs if table is not None]
        if checkable:
            with self.loading.session(part) as session:
                table_checks.alone(session)
                for table, settled in checkable:
                    part.check()
                    if self.following.over:
                        return
                    self.seen.look(session, table, settled=settled)


def _next(chunks: Iterator[bytes], byte_count: int) -> bytes:
    parts: list[bytes] = []
    while byte_count > 0 and (chunk := next(chunks, None)) is not None:
        parts.append(chunk)
        byte_count -= len(chunk)
    return b"".join(parts)


def _chained(head: bytes, rest: Iterator[bytes]) -> Stream:
    if head:
        yield head
    yield from rest
