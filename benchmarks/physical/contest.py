"""The shape of a contest: tools that copy the same server, and what changes it in between."""

import os
import secrets
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.contracts.engine import Address, Attempt
from holdfast.contracts.snapshots import Piece, Snapshottable
from holdfast.domain.snapshot import page_block
from holdfast.kit.clock import SystemClock
from holdfast.kit.processes.guard import Guard
from holdfast.kit.seal import Secret
from holdfast.repositories.restic.format.snapshot import Snapshot
from holdfast.repositories.restic.read.materialise import materialise
from holdfast.repositories.restic.repository import ensure_repository
from holdfast.repositories.restic.write.cutting import cutters
from holdfast.repositories.restic.write.writing import SnapshotWriter
from holdfast.stores.local.driver import LocalStore
from holdfast.stores.local.options import Options

_CUTS = cutters(page_block(0))


@dataclass(frozen=True)
class Tool:
    """What copies a server, and writes its last copy into a directory again.

    `directory` is where its copies are kept: its growth is what a copy stores.
    """

    name: str
    directory: Path
    capture: Callable[[], None]
    restore: Callable[[Path], None]


@dataclass(frozen=True)
class Contest:
    """`update` changes this share of the rows, `settle` writes to disk what waits in memory.

    The first of `tools` is the plain stream that times are compared with.
    """

    tools: Sequence[Tool]
    update: Callable[[float], None]
    settle: Callable[[], None]


def shell(line: str, **environment: str) -> None:
    words = ["bash", "-o", "pipefail", "-c", line]
    subprocess.run(words, env={**os.environ, **environment}, check=True)


def stream(home: Path, capture: str, unpack: str, **environment: str) -> Tool:
    """`capture | zstd > file`, and `zstd -d < file | unpack` in the target directory."""
    directory = home / "stream"
    directory.mkdir()

    def take() -> None:
        file = directory / f"{time.monotonic_ns()}.zst"
        shell(f"{capture} | zstd -q -3 -T2 > {file} && sync {file}", **environment)

    def put(target: Path) -> None:
        newest = max(directory.iterdir())
        shell(f"cd {target} && zstd -q -dc {newest} | {unpack} && sync -f {target}")

    return Tool("stream + zstd", directory, take, put)


INCOMPLETE = 3
"""restic's exit status when a file went away while it read: a running server removes some."""


def restic(home: Path, *what: str, before: Callable[[], None] = lambda: None) -> Tool:
    """The stock `restic backup` of these paths. `before` is part of each capture."""
    directory = home / "restic"
    environment = {**os.environ, "RESTIC_PASSWORD": "benchmark", "HOME": str(home)}

    def say(*words: str) -> None:
        line = ["restic", "--no-cache", "-q", "-r", str(directory), *words]
        done = subprocess.run(line, env=environment, check=False)
        if done.returncode not in (0, INCOMPLETE):
            raise RuntimeError(f"restic ended with status {done.returncode}")

    def take() -> None:
        before()
        say("backup", *what)

    say("init", "--repository-version", "2")
    return Tool(
        "stock restic", directory, take, lambda to: say("restore", "latest", "--target", str(to))
    )


class Holdfast:
    """Engine, repository and the local store with fsync, in this process; no job around it."""

    def __init__(self, directory: Path, engine: object, address: Address) -> None:
        if not isinstance(engine, Snapshottable):
            raise TypeError("the engine takes no snapshots")
        self._engine, self._address = engine, address
        store = LocalStore(Options(directory=directory))
        self._repository = ensure_repository(store, "r/", Secret("benchmark"), time.time_ns())
        self.tool = Tool("Holdfast", directory, self.capture, self._restore)

    def capture(self, rate: int | None = None, enough: threading.Event | None = None) -> None:
        """`rate` in KiB per second. Leaves off in the middle when it is enough."""
        writer = SnapshotWriter(self._repository)
        attempt, guard = (
            Attempt("bench", secrets.token_hex(4), lambda _: None),
            Guard(SystemClock()),
        )
        with self._engine.snapshot(self._address, attempt, guard, rate) as session:
            for piece in session.pieces():
                if not _save(writer, piece, enough or threading.Event()):
                    return
        made = Snapshot(time.time_ns(), writer.flush(), "bench", ["/server"], [])
        self._repository.keep(made)

    def _restore(self, target: Path) -> None:
        newest = self._repository.snapshots()[-1]
        materialise(self._repository, newest.tree, target, lambda _: None)


def _save(writer: SnapshotWriter, piece: Piece, enough: threading.Event) -> bool:
    path = os.fsencode(piece.path)
    if piece.directory:
        writer.directory(path, piece.mode, piece.mtime)
    elif piece.target:
        writer.link(path, os.fsencode(piece.target), piece.mtime)
    else:
        file = writer.file(path, piece.mode, piece.mtime, _CUTS[piece.cut])
        for chunk in piece.chunks:
            if enough.is_set():
                return False
            file.write(chunk)
        file.close()
    return True
