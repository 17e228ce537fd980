"""Feeds the stock checker with an RDB while it passes, so that it needs no file."""

import contextlib
import re
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.redis.client import tools
from holdfast.engines.redis.client.tools import ToolSet
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.pipes import write_all
from holdfast.kit.processes.process import PIPE, Child

_VERSION_BYTES = 9
_KEYS_READ = re.compile(r"(\d+) keys read")
_MAX_OUTPUT_LINES = 4


class Checker:
    """Starts with the first chunk, which says which version of the checker is needed."""

    def __init__(self, tools_dir: Path, guard: Guard) -> None:
        self._tools_dir = tools_dir
        self._guard = guard
        self._resources = ExitStack()
        self._begun = False
        self._first = b""
        self._child: Child | None = None
        self._tools: ToolSet | None = None

    def feed(self, chunk: bytes) -> None:
        if not self._begun:
            self._first += chunk
            if len(self._first) < _VERSION_BYTES:
                return
            self._begun = True
            chunk = self._first
            version = chunk[:_VERSION_BYTES].decode("ascii", "replace")
            self._tools = tools.reader(self._tools_dir, version)
            if self._tools is not None:
                command = self._resources.enter_context(tools.checker_command(self._tools))
                self._child = Child(command, stdin=PIPE)
                self._resources.callback(self._child.close)
                self._resources.callback(self._guard.adopt(self._child.kill))
        if self._child is not None:
            with contextlib.suppress(BrokenPipeError):  # `finish` reads its verdict
                write_all(self._child.stdin, chunk)

    def finish(self, keys: int) -> str | None:
        """A sentence about what was proven; None when no checker here reads this version."""
        if self._child is None or self._tools is None:
            return None
        self._child.stdin.close()
        output = self._child.stdout.read().decode(errors="replace")
        finished = self._child.wait()
        read = _KEYS_READ.search(output)
        if finished.status != 0 or read is None:
            self._guard.check()
            words = " / ".join(output.splitlines()[-_MAX_OUTPUT_LINES:]) or finished.stderr[-300:]
            raise EvidenceMissing(f"{self._tools.checker} does not accept the RDB: {words}")
        if int(read[1]) != keys:
            raise EvidenceMissing(f"{self._tools.checker} read {read[1]} keys, we read {keys}")
        return f"{self._tools.checker} {self._tools.version} read {keys} keys: the RDB looks OK"

    def close(self) -> None:
        self._resources.close()


@contextmanager
def stock_checker(tools_dir: Path, guard: Guard) -> Generator[Checker]:
    checker = Checker(tools_dir, guard)
    try:
        yield checker
    finally:
        checker.close()
