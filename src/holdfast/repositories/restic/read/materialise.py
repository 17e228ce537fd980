"""Writes a snapshot's files below a directory, as they were saved and durable."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from io import FileIO
from pathlib import Path
from types import TracebackType

from holdfast.domain.errors import NotSupported, SealBroken
from holdfast.repositories.restic.format.index import BlobLocation
from holdfast.repositories.restic.format.pack import BlobType
from holdfast.repositories.restic.format.tree import Node
from holdfast.repositories.restic.read.opening import Opening
from holdfast.repositories.restic.read.reading import Totals
from holdfast.repositories.restic.read.syncing import Syncing
from holdfast.repositories.restic.repository import Repository

Moved = Callable[[int], None]


def materialise(repository: Repository, tree: str, target: Path, moved: Moved) -> Totals:
    """Writes everything below `target`, which must be an empty directory; durable on return.

    `moved` hears how many bytes were written, and may raise to stop. Files belong to who runs
    this, whoever owned them; links that shared a file become files of their own. NotSupported for
    what cannot be made here, by name: devices, sockets, pipes.
    """
    writer = _Writer(target, moved)
    part = partial(repository.objects.part, "data")
    with writer, Opening(part, repository.plain) as opening:
        for batch in opening.blocks(_places(repository, tree, writer)):
            for block in batch:
                writer.write(block)
        return writer.finish()


def _places(repository: Repository, tree: str, writer: "_Writer") -> Iterator[BlobLocation]:
    """Where every block of every file is, in the order in which the writer will need them."""
    for path, node in repository.walk(tree):
        writer.expect(path, node)
        for blob in node.content:
            yield repository.place(bytes.fromhex(blob), BlobType.DATA)


class _Writer:
    """Makes the expected nodes in their order, each file from as many blocks as it has."""

    def __init__(self, target: Path, moved: Moved) -> None:
        self._syncing = Syncing()
        self._target = target
        self._moved = moved
        self._expected: deque[tuple[bytes, Node]] = deque()
        self._directories: list[tuple[Path, Node]] = []
        self._file: FileIO | None = None
        self._node: Node | None = None
        self._path = target
        self._blocks_left = 0
        self._files = self._bytes = 0

    def __enter__(self) -> "_Writer":
        self._syncing.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Everything written is durable when this ends well."""
        if self._file is not None:
            self._file.close()
        self._syncing.__exit__(kind, error, at)

    def expect(self, path: bytes, node: Node) -> None:
        self._expected.append((path, node))

    def write(self, block: bytes) -> None:
        while self._blocks_left == 0:
            self._next()
        if self._file is None:
            raise SealBroken("a block belongs to no file")
        _put(self._file, block)
        self._moved(len(block))
        self._blocks_left -= 1

    def finish(self) -> Totals:
        """Makes what has no blocks; times and modes of directories come last, from inside out."""
        while self._expected:
            self._next()
        self._close()
        for place, node in reversed(self._directories):
            _attributes(place, node)
            _sync(place, self._syncing)
        _sync(self._target, self._syncing)
        return Totals(self._files, self._bytes)

    def _next(self) -> None:
        self._close()
        path, node = self._expected.popleft()
        place = self._target / os.fsdecode(path)
        if node.is_directory:
            place.mkdir(mode=0o700)
            self._directories.append((place, node))
        elif node.is_file:
            self._file = place.open("xb", buffering=0)
            self._node, self._path, self._blocks_left = node, place, len(node.content)
        else:
            _link(place, path, node)

    def _close(self) -> None:
        file, node = self._file, self._node
        if file is None or node is None:
            return
        with file:
            if file.tell() != node.size:
                raise SealBroken(
                    f"{self._path.name} has {file.tell()} bytes in blocks, not {node.size}"
                )
            _attributes(self._path, node)
            self._syncing.give(file.fileno())
        self._file = None
        self._files, self._bytes = self._files + 1, self._bytes + node.size


def _put(file: FileIO, data: bytes) -> None:
    """All of it, or OSError: an unbuffered file may take a part when the disk is nearly full."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _link(place: Path, path: bytes, node: Node) -> None:
    if node.other:
        raise NotSupported(f"{os.fsdecode(path)} is a {node.other}, which cannot be written here")
    place.symlink_to(os.fsdecode(node.target))
    os.utime(place, ns=(node.mtime, node.mtime), follow_symlinks=False)


def _attributes(place: Path, node: Node) -> None:
    for name, value in node.xattrs:
        os.setxattr(place, name, value)
    place.chmod(node.mode & 0o7777)
    os.utime(place, ns=(node.mtime, node.mtime))


def _sync(directory: Path, syncing: Syncing) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        syncing.give(handle)
    finally:
        os.close(handle)
