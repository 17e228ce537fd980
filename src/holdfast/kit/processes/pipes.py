"""The two ends of a child's pipe: a Source to read a dump from, and a way to feed a restore."""

import os
import select
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, cast

from holdfast.domain.errors import EvidenceMissing
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.process import (
    DISCARD,
    PIPE,
    Child,
    Command,
    Finished,
    require_success,
)

_TAIL_BYTES = 512
_POLL_MILLISECONDS = 200
_MAX_STDERR_LINES = 20

SAID = "said"
"""Key in a source's facts: the first lines that its child wrote to stderr."""


def lines_said(facts: Mapping[str, object]) -> Sequence[str]:
    """The stderr lines in the facts of a finished source."""
    return cast("list[str]", facts[SAID])


class PipeSource:
    """Reads one child's output in the pump's thread, and keeps the last bytes for `judge`."""

    def __init__(
        self, command: Command, guard: Guard, judge: Callable[[bytes], Mapping[str, object]]
    ) -> None:
        guard.check()
        self._guard = guard
        self._judge = judge
        self._child = Child(command)
        self._release = guard.adopt(self._child.kill)
        self._tail = b""
        self._bytes = 0

    @property
    def pid(self) -> int:
        return self._child.pid

    def read(self, size: int) -> bytes:
        data = self._child.stdout.read(size)
        if data:
            self._bytes += len(data)
            self._tail = (
                data[-_TAIL_BYTES:]
                if len(data) >= _TAIL_BYTES
                else (self._tail + data)[-_TAIL_BYTES:]
            )
        return data

    def await_output(self) -> None:
        """Waits until the child has written something or ended, without reading it.

        A child that never speaks is a stall.
        """
        descriptor = os.dup(self._child.stdout.fileno())  # close() may come meanwhile
        self._guard.watch_for_stall(on=True)
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            while self._bytes == 0 and not poll.poll(_POLL_MILLISECONDS):
                self._guard.check()
        finally:
            self._guard.watch_for_stall(on=False)
            os.close(descriptor)

    def finish(self) -> Mapping[str, object]:
        finished = self._child.wait()
        self._guard.check()
        require_success(finished)
        if self._bytes == 0:
            raise EvidenceMissing(f"{finished.program} wrote nothing")
        lines = [line for line in finished.stderr.splitlines() if line.strip()][:_MAX_STDERR_LINES]
        return {
            "processes": [finished.fact()],
            "bytes": self._bytes,
            SAID: lines,
            **self._judge(self._tail),
        }

    def close(self) -> None:
        self._release()
        self._child.close()


def write_all(pipe: IO[bytes], data: bytes) -> None:
    """An unbuffered pipe may take less than it was given."""
    view = memoryview(data)
    while view:
        view = view[pipe.write(view) :]


def feed(
    command: Command,
    chunks: Iterator[bytes],
    guard: Guard,
    hear: Callable[[str], bool] | None = None,
    judge: Callable[[Finished], object] = require_success,
) -> None:
    """Gives a child all chunks and waits for its end, which `judge` accepts or raises about.

    The source of the chunks reports movement to the guard. The child works on after its input has
    ended: indexes and constraints come last. `hear` gets its stderr lines (see `Child`), all of
    them before this returns.
    """
    guard.check()
    child = Child(command, stdin=PIPE, stdout=DISCARD, hear=hear)
    release = guard.adopt(child.kill)
    try:
        try:
            for chunk in chunks:
                guard.check()
                write_all(child.stdin, chunk)
            child.stdin.close()
        except BrokenPipeError:
            guard.check()  # otherwise its exit status and last words say why it stopped reading
        finished = child.wait()
        guard.check()
        judge(finished)
    finally:
        release()
        child.close()
