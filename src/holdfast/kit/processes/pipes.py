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

_TAIL = 512
_LOOK_MS = 200
_LINES = 20

SAID = "said"
"""Fact of a source: the first lines that its child wrote beside its output."""


def lines_said(facts: Mapping[str, object]) -> Sequence[str]:
    """Of a finished source."""
    return cast("list[str]", facts[SAID])


class PipeSource:
    """The output of one child. Runs in the pumping thread: one read, one look at the tail."""

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
            self._tail = data[-_TAIL:] if len(data) >= _TAIL else (self._tail + data)[-_TAIL:]
        return data

    def await_output(self) -> None:
        """Waits until the child has written something or ended. Takes nothing of what it wrote.

        A child that never speaks is a stall.
        """
        descriptor = os.dup(self._child.stdout.fileno())  # close() may come meanwhile
        self._guard.watch_for_stall(on=True)
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            while self._bytes == 0 and not poll.poll(_LOOK_MS):
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
        lines = [line for line in finished.stderr.splitlines() if line.strip()][:_LINES]
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
    """Gives a child all chunks and waits for its end, which `judge` finds good. Who makes the
    chunks tells the guard.

    The child is waited for after its input has ended: indexes and constraints come last. `hear`
    is told what it says meanwhile (see `Child`), and has been told all of it in the end.
    """
    guard.check()
    child = Child(command, stdin=PIPE, stdout=DISCARD, hear=hear)
    release = guard.adopt(child.kill)
    try:
        _pour(child, chunks, guard)
        finished = child.wait()
        guard.check()
        judge(finished)
    finally:
        release()
        child.close()


def _pour(child: Child, chunks: Iterator[bytes], guard: Guard) -> None:
    try:
        for chunk in chunks:
            guard.check()
            write_all(child.stdin, chunk)
        child.stdin.close()
    except BrokenPipeError:
        guard.check()  # otherwise its exit status and last words say why it stopped reading
