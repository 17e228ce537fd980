"""Copies a server's files while its writes wait, for as short a time as possible.

Everything is copied before the lock, which also brings the files into memory; under the lock only
what has changed since. A process of its own watches that the lock never outlives us.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from holdfast.domain.errors import AddonUnavailable, NotSupported
from holdfast.engines.mongodb.client.connection import Connection, Refusal, WireError
from holdfast.engines.mongodb.hosting.server import KEY_FILE, LOCKED, started_at, unlock
from holdfast.engines.mongodb.physical import watchdog
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.process import Command, start_detached

_LEFT_OUT = ("mongod.lock", "diagnostic.data", KEY_FILE, LOCKED)
_LEFT_OUT_PREFIXES = ("WiredTigerPreplog", "holdfast.")
_LEFT_OUT_SUFFIXES = (".sock",)
_BLOCK = 1 << 20
_SAME_TICK_NS = 1_000_000_000
"""A file that was written this shortly before it was copied may be written again unnoticed."""
_WAIT_SECONDS, _WAIT_SECONDS_PER_BYTE = 2.0, 7.0 / (1 << 30)
"""How long writes may wait: what whole copies under the lock were measured to take."""
_WATCHDOG_SECONDS = 30.0

State = tuple[int, int]
"""Size and time of change in ns."""


class LockedCopy:
    """One copy of `source` in `target`. `locked_ms`: how long writes waited."""

    def __init__(self, source: Path, target: Path, guard: Guard) -> None:
        self._source = source
        self._target = target
        self._guard = guard
        self._copied: dict[str, State] = {}
        self.locked_ms = 0
        self.documents: Mapping[str, int] = {}

    def prepare(self, pause: Callable[[int], None]) -> int:
        """Copies everything while the server writes; returns the bytes. `pause` is called with the
        bytes of each block."""
        size = 0
        for path in files_of(self._source):
            size += self._copy(path, pause)
        return size

    def complete(
        self,
        connection: Connection,
        size: int,
        count: Callable[[Callable[[int], None]], Mapping[str, int]],
    ) -> None:
        """Copies again what has changed, under the lock, and lets `count` fill `documents`: it
        calls what it is given for each collection.

        NotSupported when that takes too long.
        """
        seconds = _WAIT_SECONDS + size * _WAIT_SECONDS_PER_BYTE
        deadline = time.monotonic() + seconds

        def hurry(_: int) -> None:
            if time.monotonic() > deadline:
                raise NotSupported(
                    f"no snapshot of this server: its writes would wait longer than {seconds:.0f}"
                    " s, because too much changes meanwhile; take dumps"
                )

        with locked(connection, self._source, seconds) as began:
            names: set[str] = set()
            for path in files_of(self._source):
                name = str(path.relative_to(self._source))
                names.add(name)
                if self._copied.get(name) != _state(path):
                    self._copy(path, hurry)
            self.documents = count(hurry)
        self.locked_ms = int((time.monotonic() - began) * 1000)
        for name in self._copied.keys() - names:  # dropped meanwhile
            (self._target / name).unlink(missing_ok=True)

    def _copy(self, path: Path, pause: Callable[[int], None]) -> int:
        name = str(path.relative_to(self._source))
        target, copied = self._target / name, 0
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            state, now = _state(path), time.time_ns()
            with path.open("rb", buffering=0) as reader, target.open("wb", buffering=0) as writer:
                while block := reader.read(_BLOCK):
                    writer.write(block)
                    copied += len(block)
                    self._guard.check()
                    self._guard.moved(len(block))
                    pause(len(block))
        except FileNotFoundError:
            return 0  # dropped meanwhile
        if now - state[1] > _SAME_TICK_NS:
            self._copied[name] = state
        else:
            self._copied.pop(name, None)
        return copied


def files_of(directory: Path) -> Iterator[Path]:
    """The data files below a server's directory; not its lock, key, sockets and notes."""
    for base, folders, names in os.walk(directory):
        folders[:] = sorted(folder for folder in folders if folder not in _LEFT_OUT)
        for name in sorted(names):
            if name in _LEFT_OUT or name.startswith(_LEFT_OUT_PREFIXES):
                continue
            if not name.endswith(_LEFT_OUT_SUFFIXES):
                yield Path(base) / name


def _state(path: Path) -> State:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


@contextmanager
def locked(connection: Connection, directory: Path, seconds: float) -> Generator[float]:
    """Locks the server against writes; yields when that began.

    `seconds` is the time after which the watchdog unlocks it, whatever we do: it ends before only
    when the server is known to be unlocked. The file `LOCKED`
    says whose lock it is, for the case that the watchdog dies with us.
    """
    address = connection.address
    settings = json.dumps(
        {
            "pid": os.getpid(),
            "seconds": seconds + _WATCHDOG_SECONDS,
            "host": address.host,
            "port": address.port,
            "user": address.user,
            "password": address.password.reveal(),
        }
    )
    command = Command([sys.executable, watchdog.__file__], env={watchdog.SETTINGS: settings})
    note, may_be_locked = directory / LOCKED, False
    with tempfile.TemporaryFile() as output:
        guardian = start_detached(command, output)
        try:
            deadline = time.monotonic() + _WATCHDOG_SECONDS
            while os.pread(output.fileno(), len(watchdog.READY), 0) != watchdog.READY:
                if guardian.ended() is not None or time.monotonic() > deadline:
                    raise AddonUnavailable("the watchdog of the snapshot does not start")
                time.sleep(0.01)
            note.write_text(f"{os.getpid()} {started_at(os.getpid())}\n")
            began, may_be_locked = time.monotonic(), True
            try:
                connection.command("admin", {"fsync": 1, "lock": True})
            except Refusal:
                may_be_locked = False
                raise
            try:
                yield began
            except BaseException:
                with suppress(WireError):
                    unlock(connection)
                    may_be_locked = False
                raise
            try:
                connection.command("admin", {"fsyncUnlock": 1})
            except Refusal as error:
                may_be_locked = False
                raise NotSupported(
                    f"no snapshot of this server: it was locked for more than {seconds:.0f} s, and"
                    " its writes went on; take dumps"
                ) from error
            may_be_locked = False
        finally:
            # Else the watchdog goes on, and unlocks when its time is over.
            if not may_be_locked:
                guardian.kill()
                note.unlink(missing_ok=True)
