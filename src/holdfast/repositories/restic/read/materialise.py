"""Writes a snapshot's files below a directory, with their attributes, durably."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from io import FileIO
from pathlib import Path
from types import TracebackType

from holdfast.domain.errors import NotSupported, SealBroken
from holdfast.repositories.restic.format.index import BlobLocation
from holdfast.repositories.restic.format.pack import BlobType
from holdfast.repositories.restic.format.tree import Node
from holdfast.repositories.restic.read.fetcher import BlobFetcher
from holdfast.repositories.restic.read.reading import Totals
from holdfast.repositories.restic.read.syncer import FileSyncer
from holdfast.repositories.restic.repository import Repository

Moved = Callable[[int], None]

_MAX_BLOCKS = os.sysconf("SC_IOV_MAX")


def materialise(repository: Repository, tree: str, target: Path, moved: Moved) -> Totals:
    """Writes everything below `target`, which must be an empty directory; durable on return.

    `moved` is called with the bytes written, and may raise to stop. Files belong to the user of
    this process; hard links become files of their own. Raises NotSupported, with the name, for
    devices, sockets and pipes.
    """
    writer = _Writer(target, moved)
    part = partial(repository.objects.part, "data")

    def locations() -> Iterator[BlobLocation]:
        """Yields every block of every file, in the order in which the writer needs them."""
        for path, node in repository.walk(tree):
            writer.expect(path, node)
            for blob in node.content:
                yield repository.locate(bytes.fromhex(blob), BlobType.DATA)

    is_near = repository.objects.store.near
    with writer, BlobFetcher(part, repository.plain_batch, is_near=is_near) as fetcher:
        for batch in fetcher.blocks(locations()):
            writer.write(batch)
        return writer.finish()


class _Writer:
    """Makes the expected nodes in their order, each file from as many blocks as it has."""

    def __init__(self, target: Path, moved: Moved) -> None:
        self._syncer = FileSyncer()
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
        self._syncer.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Waits until everything written is durable, unless there was an error."""
        if self._file is not None:
            self._file.close()
        self._syncer.__exit__(kind, error, at)

    def expect(self, path: bytes, node: Node) -> None:
        self._expected.append((path, node))

    def write(self, blocks: Sequence[bytes | memoryview]) -> None:
        """Writes blocks that follow those before, each file's share of them in one call."""
        start = 0
        while start < len(blocks):
            while self._blocks_left == 0:
                self._next()
            if self._file is None:
                raise SealBroken("a block belongs to no file")
            share = blocks[start : start + min(self._blocks_left, _MAX_BLOCKS)]
            self._moved(write_all(self._file, share))
            self._blocks_left -= len(share)
            start += len(share)

    def finish(self) -> Totals:
        """Makes nodes without blocks, then sets times and modes of directories, innermost first."""
        while self._expected:
            self._next()
        self._close()
        for directory, node in reversed(self._directories):
            _attributes(directory, node)
            _sync(directory, self._syncer)
        _sync(self._target, self._syncer)
        return Totals(self._files, self._bytes)

    def _next(self) -> None:
        self._close()
        path, node = self._expected.popleft()
        file_path = self._target / os.fsdecode(path)
        if node.is_directory:
            file_path.mkdir(mode=0o700)
            self._directories.append((file_path, node))
        elif node.is_file:
            self._file = file_path.open("xb", buffering=0)
            self._node, self._path, self._blocks_left = node, file_path, len(node.content)
        elif node.other:
            name = os.fsdecode(path)
            raise NotSupported(f"{name} is a {node.other}, which cannot be written here")
        else:
            file_path.symlink_to(os.fsdecode(node.target))
            os.utime(file_path, ns=(node.mtime, node.mtime), follow_symlinks=False)

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
            self._syncer.give(file.fileno())
        self._file = None
        self._files, self._bytes = self._files + 1, self._bytes + node.size


def write_all(file: FileIO, blocks: Sequence[bytes | memoryview]) -> int:
    """Writes `_MAX_BLOCKS` at most and returns their bytes, or raises OSError.

    An unbuffered file may take a part on a full disk.
    """
    size = sum(map(len, blocks))
    written = os.writev(file.fileno(), blocks)
    if written < size:
        remainder = memoryview(b"".join(blocks))[written:]
        while remainder:
            remainder = remainder[file.write(remainder) :]
    return size


def _attributes(path: Path, node: Node) -> None:
    for name, value in node.xattrs:
        os.setxattr(path, name, value)
    path.chmod(node.mode & 0o7777)
    os.utime(path, ns=(node.mtime, node.mtime))


def _sync(directory: Path, syncer: FileSyncer) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        syncer.give(handle)
    finally:
        os.close(handle)
