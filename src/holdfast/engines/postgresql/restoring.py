"""pg_restore of one database: its data, then indexes and constraints side by side.

What comes before and after the data is in the table of contents, which is at the front of an
archive: the first megabytes are kept in memory while they pass, and are file enough for sessions
side by side. Where they are not (a table of contents that is larger), and where there is one
processor, everything goes in one session.

The data is a stream, and a stream is read by one session. Where the archive may be read again,
several sessions load side by side: each reads it from the start and skips what others load.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial

from holdfast.contracts.engine import Address
from holdfast.engines.postgresql import commands, sharing
from holdfast.engines.postgresql.address import connect
from holdfast.engines.postgresql.complaints import translated
from holdfast.engines.postgresql.session import watched
from holdfast.engines.postgresql.sharing import Share
from holdfast.engines.postgresql.tools import ToolSet
from holdfast.kit.guard import Guard
from holdfast.kit.pipes import feed
from holdfast.kit.process import Command, require_success, run
from holdfast.kit.together import together

_HEAD = 16 << 20
_MOST = 8
"""Sessions: more than a server's disks and the memory for sorting should bear."""
_READERS = 4
"""Sessions that each read the whole archive."""

Stream = Generator[bytes, None, None]
Read = Callable[[], Iterator[bytes]]
"""Opens the archive at its start; gives its plain bytes."""


@dataclass(frozen=True)
class Loading:
    """Where to, with what, and what the target has no use for: see `commands.pg_restore`.

    `rows` of each table, by its name in the inventory. `again`: may the archive be read again?
    """

    tools: ToolSet
    address: Address
    database: str
    application: str
    leave_out: Sequence[str]
    rows: Mapping[str, int]
    again: bool

    def run(self, read: Read, guard: Guard) -> None:
        jobs = min(os.cpu_count() or 1, _MOST)
        chunks = read()
        seen = b"" if jobs == 1 else _first(chunks)
        archived = _chained(seen, chunks)
        with _file_of(seen[:_HEAD]) as head:
            if run(commands.pg_restore_list(self.tools, head)).status != 0:
                feed(self._command(), archived, guard)  # the table of contents goes on behind it
            elif self.again:
                self._side_by_side(head, archived, read, guard, jobs)
            else:
                feed(self._command("--section=pre-data", "--section=data"), archived, guard)
                rest = self._command("--section=post-data", f"--jobs={jobs}", head)
                feed(rest, iter(()), guard)

    def _side_by_side(
        self, head: str, archived: Stream, read: Read, guard: Guard, jobs: int
    ) -> None:
        sections = ("pre-data", "data", "post-data")
        before, data, after = sharing.lists(*(self._listed(head, each) for each in sections))
        self._from(head, before, guard)
        readers = 1 if self._ordered(guard) else min(jobs, _READERS)
        self._data(sharing.divided(data, self.rows, readers), archived, read, guard)
        self._from(head, after, guard, f"--jobs={jobs}")

    def _listed(self, head: str, section: str) -> str:
        listing = commands.pg_restore_list(self.tools, f"--section={section}", head)
        return require_success(run(listing)).stdout.decode(errors="replace")

    def _from(self, head: str, lines: Sequence[str], guard: Guard, *more: str) -> None:
        if lines:
            with _file_of(sharing.text(lines)) as wanted:
                feed(self._command(f"--use-list={wanted}", *more, head), iter(()), guard)

    def _ordered(self, guard: Guard) -> bool:
        with (
            translated(guard),
            connect(self.address, self.database, self.application) as session,
            watched(session, guard),
        ):
            return sharing.needs_order(session)

    def _data(self, shares: Sequence[Share], archived: Stream, read: Read, guard: Guard) -> None:
        """Who finds data last reads to the end, where it shows that all is as it was stored."""
        last = max(shares, key=lambda share: share.end)

        def load(share: Share, chunks: Iterator[bytes], part: Guard) -> None:
            with _file_of(sharing.text(share.lines)) as wanted:
                feed(self._command(f"--use-list={wanted}"), chunks, part)
            if share is last:
                deque(chunks, maxlen=0)

        with ExitStack() as opened:  # or who waits for bytes to move would wait for those left over
            streams = [archived, *(_chained(b"", read()) for _ in shares[1:])]
            for stream in streams:
                opened.enter_context(closing(stream))
            together([partial(load, *each) for each in zip(shares, streams, strict=True)], guard)

    def _command(self, *more: str) -> Command:
        return commands.pg_restore(
            self.tools,
            self.address,
            self.database,
            application=self.application,
            options=[*(f"--no-{what}" for what in self.leave_out), *more],
        )


def _first(chunks: Iterator[bytes]) -> bytes:
    held: list[bytes] = []
    size = 0
    while size < _HEAD and (chunk := next(chunks, None)) is not None:
        held.append(chunk)
        size += len(chunk)
    return b"".join(held)


def _chained(head: bytes, rest: Iterator[bytes]) -> Stream:
    if head:
        yield head
    yield from rest


@contextmanager
def _file_of(text: bytes) -> Generator[str]:
    """In memory, and open to children of ours by its name: the data of a customer is in it."""
    descriptor = os.memfd_create("holdfast-archive")
    try:
        view = memoryview(text)
        while view:
            view = view[os.write(descriptor, view) :]
        yield f"/proc/{os.getpid()}/fd/{descriptor}"
    finally:
        os.close(descriptor)
