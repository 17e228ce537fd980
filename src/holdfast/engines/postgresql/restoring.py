"""pg_restore of one database: its data in a stream, then indexes and constraints side by side.

Sessions side by side each want the archive as a file, and a stream is none. But for what comes
after the data pg_restore reads nothing but the table of contents, which is at the front: the
first megabytes are kept in memory while they pass, and are file enough. Where they are not (a
table of contents that is larger), everything goes in one session.
"""

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from holdfast.contracts.engine import Address
from holdfast.engines.postgresql import archive, commands
from holdfast.engines.postgresql.tools import ToolSet
from holdfast.kit.guard import Guard
from holdfast.kit.pipes import feed
from holdfast.kit.process import Command

_HEAD = 16 << 20
_MOST = 8
"""Sessions: more than a server's disks and the memory for sorting should bear."""


@dataclass(frozen=True)
class Loading:
    """Where to, with what, and what the target has no use for: see `commands.pg_restore`."""

    tools: ToolSet
    address: Address
    database: str
    application: str
    leave_out: Sequence[str]

    def run(self, chunks: Iterator[bytes], guard: Guard) -> None:
        jobs = min(os.cpu_count() or 1, _MOST)
        seen = b"" if jobs == 1 else _first(chunks)
        head, archived = seen[:_HEAD], _chained(seen, chunks)
        if not head or archive.list_archive(self.tools, iter([head]))[0] != 0:
            feed(self._command(), archived, guard)
            return
        feed(self._command("--section=pre-data", "--section=data"), archived, guard)
        with _file_of(head) as path:
            rest = self._command("--section=post-data", f"--jobs={jobs}", path)
            feed(rest, iter(()), guard)

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


def _chained(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest


@contextmanager
def _file_of(head: bytes) -> Generator[str]:
    """In memory, and open to children of ours by its name: the data of a customer is in it."""
    descriptor = os.memfd_create("holdfast-archive")
    try:
        view = memoryview(head)
        while view:
            view = view[os.write(descriptor, view) :]
        yield f"/proc/{os.getpid()}/fd/{descriptor}"
    finally:
        os.close(descriptor)
