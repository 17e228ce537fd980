"""Takes a snapshot of a managed server: a copy of its files, locked for a moment, then read.

The community server has no `$backupCursor`, so its files can only be copied while nothing is
written (`fsyncLock`). They are copied to a directory beside the server's, and go into the
repository from there, while the server has long been writing again.
"""

import platform
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from holdfast.contracts.engine import Address, Attempt
from holdfast.contracts.snapshots import Cut, Piece
from holdfast.domain.errors import AddonUnavailable, EvidenceMissing, NotSupported
from holdfast.domain.units import show_bytes
from holdfast.engines.mongodb.client import facts
from holdfast.engines.mongodb.client.connection import Connection, Document, connect
from holdfast.engines.mongodb.client.server_errors import translated
from holdfast.engines.mongodb.dump.archive import BUCKETS, TIME_SERIES, VIEW
from holdfast.engines.mongodb.dump.inventory import belongs_to_owner, databases
from holdfast.engines.mongodb.hosting.server import unlock
from holdfast.engines.mongodb.physical.locked_copy import LockedCopy, files_of
from holdfast.engines.programs import series
from holdfast.kit.processes.guard import Guard
from holdfast.kit.rate_limit import Pace

DATA = "data"
_COPY_PREFIX = "copy."
_ROOM = 1.1
_PAGED_SUFFIXES = (".wt",)


class Capture:
    """A copy on its way into the repository; `facts` exist when it has arrived."""

    def __init__(self, directory: Path, server_facts: Mapping[str, Any], pace: Pace) -> None:
        self._directory = directory
        self._server_facts = server_facts
        self._pace = pace
        self._bytes = 0
        self.facts: Mapping[str, Any] = {}

    def pieces(self) -> Iterator[Piece]:
        files = list(files_of(self._directory))
        folders = {str(path.parent.relative_to(self._directory)) for path in files} - {"."}
        for folder in ("", *sorted(folders)):
            path = f"{DATA}/{folder}".rstrip("/")
            yield Piece(path, 0o700, 0, directory=True, target="", cut=Cut.WHOLE, chunks=iter(()))
        size = sum(path.stat().st_size for path in files)
        for file in files:
            name = f"{DATA}/{file.relative_to(self._directory)}"
            cut = Cut.PAGES if file.name.endswith(_PAGED_SUFFIXES) else Cut.WHOLE
            yield Piece(
                name, 0o600, 0, directory=False, target="", cut=cut, chunks=self._chunks(file)
            )
        if self._bytes != size:
            raise EvidenceMissing(f"{self._bytes} bytes of the copy were read, not {size}")
        counted = sum(int(number) for number in self._server_facts["documents"].values())
        waited = self._server_facts["lockedMs"]
        self.facts = {
            **self._server_facts,
            "files": len(files),
            "bytes": size,
            "proven": {
                "locked copy": f"{len(files)} files, {size} bytes, as they were while nothing was"
                f" written; writes waited {waited} ms",
                "documents at that moment": f"{counted} in"
                f" {len(self._server_facts['documents'])} collections",
            },
        }

    def _chunks(self, file: Path) -> Iterator[bytes]:
        with file.open("rb") as reader:
            while chunk := reader.read(self._pace.portion):
                self._bytes += len(chunk)
                self._pace.moved(len(chunk))
                yield chunk


@contextmanager
def capture(
    address: Address, attempt: Attempt, guard: Guard, rate: int | None
) -> Generator[Capture]:
    """Copies the server's files. NotSupported for servers that are not ours, or write too much."""
    if address.owner is None:
        raise NotSupported(
            "no snapshots of attached MongoDB servers: their files can only be copied while all"
            " writes wait, as the community server has no backup cursor; take dumps"
        )
    with translated(address, guard), connect(address, answer_seconds=None) as connection:
        unlock(connection)  # what a dead worker may have left
        directory = _directory_of(connection)
        for leftover in directory.parent.glob(f"{_COPY_PREFIX}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        _require_room(directory)
        target = directory.with_name(f"{_COPY_PREFIX}{attempt.tag}")
        target.mkdir(mode=0o700)
        try:
            copy, pace = LockedCopy(directory, target, guard), Pace(rate, guard.wait)
            size = copy.prepare(pace.moved)
            copy.complete(connection, size, partial(_documents, connection))
            attempt.say(f"{show_bytes(size)} were copied; writes waited {copy.locked_ms} ms")
            version = str(connection.command("admin", {"buildInfo": 1})["version"])
            server_facts = {
                "flavour": "MongoDB",
                "version": version,
                "series": series(version),
                "compatibility": facts.compatibility(connection),
                "machine": platform.machine(),
                "lockedMs": copy.locked_ms,
                "documents": copy.documents,
            }
            yield Capture(target, server_facts, pace)
        finally:
            shutil.rmtree(target, ignore_errors=True)


def _directory_of(connection: Connection) -> Path:
    """The data directory: a server of ours works in it."""
    pid = int(connection.command("admin", {"serverStatus": 1, "metrics": 0, "repl": 0})["pid"])
    try:
        return Path(psutil.Process(pid).cwd())
    except psutil.Error as error:
        raise AddonUnavailable(
            f"the server's process {pid} cannot be looked at from here: {error}"
        ) from error


def _require_room(directory: Path) -> None:
    needed = int(sum(path.stat().st_size for path in files_of(directory)) * _ROOM)
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise NotSupported(
            f"no snapshot of this server: the copy needs {show_bytes(needed)} beside its data, and"
            f" {show_bytes(free)} are free; take dumps"
        )


def _documents(connection: Connection, pause: Callable[[int], None]) -> dict[str, int]:
    """The number of documents of each collection, as the server keeps it.

    `pause` is called before each. Writes wait meanwhile, so nothing else of a collection is read.
    """
    counts: dict[str, int] = {}
    for database in databases(connection):
        listing: Document = {"listCollections": 1, "nameOnly": True, "cursor": {}}
        types = {one["name"]: one["type"] for one in connection.documents(database, listing)}
        for name, kind in sorted(types.items()):
            if kind != VIEW and belongs_to_owner(database, name):
                pause(0)
                stored = f"{BUCKETS}{name}" if kind == TIME_SERIES else name
                reply = connection.command(database, {"count": stored})
                counts[f"{database}.{name}"] = int(reply["n"])
    return counts
