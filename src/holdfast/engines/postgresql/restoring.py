"""pg_restore of one database, in three turns: what its data needs, its data, what needs the data.

The first and the last read nothing but the table of contents, which is at the front of an
archive: the first megabytes are kept in memory while they pass, and are file enough, so indexes
and constraints are made side by side. Where they are not (a table of contents that is larger),
and where there is one processor, everything goes in one session.

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
from holdfast.kit.process import Command, run
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
            lists = self._lists(head)
            if lists is None:
                feed(self._command(), archived, guard)
                return
            before, data, after = lists
            self._from(head, before, guard)
            readers = min(jobs, _READERS) if self.again and not self._ordered(guard) else 1
            self._data(sharing.divided(data, self.rows, readers), archived, read, guard)
            self._from(head, after, guard, f"--jobs={jobs}")

    def _lists(self, head: str) -> sharing.Lists | None:
        """None when the table of contents does not end in it."""
        found: list[str] = []
        for section in ("pre-data", "data", "post-data"):
            finished = run(commands.pg_restore_list(self.tools, f"--section={section}", head))
            if finished.status != 0:
                return None
            found.append(finished.stdout.decode(errors="replace"))
        return sharing.lists(*found)

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
