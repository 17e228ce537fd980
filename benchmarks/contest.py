"""What the contests of `engines.py` share: our side of a dump, shells, and free ports."""

import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from holdfast.contracts.engine import EVERYTHING, Address, Attempt, Dump, Dumpable
from holdfast.contracts.local_servers import Hostable, LocalServer
from holdfast.kit.backoff import pauses
from holdfast.kit.clock import SystemClock
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.process import start_detached
from holdfast.kit.seal import Secret
from holdfast.pipeline.compress import Zstd
from holdfast.pipeline.decompress import decompress

Work = dict[str, Callable[[], float | None]]
"""Parts by name. A part is timed, or tells the seconds itself."""
STOCK = "zstd -q -f -3 -T2 -o stock.zst"
"""The compressor that the stock tools are piped to."""


class Server(Hostable, Protocol):
    """An engine whose servers we run."""


def attempt(op: str, say: Callable[[str], None] = lambda _: None) -> Attempt:
    return Attempt(op, "1", say)


def guard() -> Guard:
    return Guard(SystemClock())


def shell(home: Path, command: str) -> None:
    subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=home, check=True)


def started(engine: Server, directory: Path, version: str) -> LocalServer:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = int(sock.getsockname()[1])
    place = LocalServer(directory, port, version, "admin", Secret("bench"), "main")
    engine.initialise(place)
    serve(engine, place)
    return place


def serve(engine: Server, place: LocalServer) -> None:
    with place.directory.with_suffix(".log").open("ab") as log:
        start_detached(engine.command(place), log)
    for pause in pauses(0.1):
        if engine.ready(place):
            break
        time.sleep(pause)


class Ours:
    """The engine's dump through the pipeline's zstd, and its restore: stage, count, swap."""

    def __init__(self, engine: Dumpable, home: Path, source: Address, target: Address) -> None:
        self._engine = engine
        self._home = home
        self._source, self._target = source, target
        self._dump: Dump | None = None
        self._tries = 0
        self._in_place = self._ended = 0.0

    def backup(self) -> None:
        with self._engine.dump(self._source, EVERYTHING, attempt("backup"), guard()) as session:
            size = 0
            for member in session.members:
                source, zstd = session.open(member), Zstd()
                with (self._home / member.name).open("wb") as file:
                    while data := source.read(1 << 20):
                        size += len(data)
                        file.write(zstd.feed(data))
                    file.write(zstd.finish())
                source.finish()
            inventory, facts = session.inventory(), dict(session.facts)
            self._dump = Dump("", list(session.members), facts, inventory, near=True, size=size)

    def restore(self) -> None:
        assert self._dump is not None
        self._tries += 1
        once = attempt(f"restore-{self._tries}", self._hear)

        def fetch(name: str):
            with (self._home / name).open("rb") as file:
                yield from decompress(iter(lambda: file.read(1 << 18), b""), "zstd")

        staged = self._engine.stage(self._target, self._dump, fetch, once, guard())
        assert staged == self._dump.inventory
        self._engine.swap(self._target, self._dump, once, guard())
        self._ended = time.monotonic()

    def _hear(self, text: str) -> None:
        if text.startswith("in place"):
            self._in_place = time.monotonic()

    def afterwards(self) -> float:
        """Seconds the last restore went on after it had said that the data was in place."""
        return self._ended - self._in_place
