"""Reads a snapshot back: into a directory, or only to prove that it can be.

Blobs are fetched in the order of the files; neighbours that lie together in one pack come with one
request. Every blob is proven by its id, so what is written is what was saved.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from holdfast.domain.errors import NotSupported, SealBroken
from holdfast.repositories.restic.index import Place
from holdfast.repositories.restic.pack import BlobType
from holdfast.repositories.restic.repository import Repository
from holdfast.repositories.restic.syncing import Syncing
from holdfast.repositories.restic.tree import Node

_RANGE_BYTES = 8 << 20
Moved = Callable[[int], None]


@dataclass(frozen=True)
class Totals:
    """Of a snapshot's files. Sizes in bytes."""

    files: int
    size: int


def blobs(repository: Repository, content: Sequence[str]) -> Iterator[bytes]:
    """The plain bytes of these blobs, in order."""
    for place, sealed in fetch(repository, (_find(repository, blob) for blob in content)):
        yield repository.plain(place, sealed)


def fetch(repository: Repository, places: Iterable[Place]) -> Iterator[tuple[Place, memoryview]]:
    """The sealed bytes of these blobs, in order; nothing is proven yet."""
    for run in _runs(places):
        first, last = run[0].entry, run[-1].entry
        end = last.offset + last.stored
        whole = repository.part(run[0].pack, first.offset, end)
        for place in run:
            start = place.entry.offset - first.offset
            yield place, whole[start : start + place.entry.stored]


def _runs(places: Iterable[Place]) -> Iterator[list[Place]]:
    """Blobs that one request can fetch: next to each other in one pack."""
    run: list[Place] = []
    for place in places:
        if run and not _adjoins(run, place):
            yield run
            run = []
        run.append(place)
    if run:
        yield run


def _adjoins(run: Sequence[Place], place: Place) -> bool:
    first, last = run[0], run[-1]
    return (
        last.pack == place.pack
        and last.entry.offset + last.entry.stored == place.entry.offset
        and place.entry.offset + place.entry.stored - first.entry.offset <= _RANGE_BYTES
    )


def materialise(repository: Repository, tree: str, target: Path, moved: Moved) -> Totals:
    """Writes everything below `target`, which must be an empty directory; durable on return.

    `moved` hears how many bytes were written, and may raise to stop. Files belong to who runs
    this, whoever owned them; links that shared a file become files of their own. NotSupported for
    what cannot be made here, by name: devices, sockets, pipes.
    """
    files = size = 0
    directories: list[tuple[Path, Node]] = []
    with Syncing() as syncing:
        for path, node in repository.walk(tree):
            place = target / os.fsdecode(path)
            if node.is_directory:
                place.mkdir(mode=0o700)
                directories.append((place, node))
            elif node.is_file:
                _write(repository, place, node, moved, syncing)
                files, size = files + 1, size + node.size
            else:
                _link(place, path, node)
        for place, node in reversed(directories):  # from the inside out: times and modes stay
            _attributes(place, node)
            _sync(place, syncing)
        _sync(target, syncing)
    return Totals(files, size)


def prove(repository: Repository, tree: str) -> Totals:
    """Reads all directories, and finds every block of every file in the index.

    ObjectMissing when one is in no pack, SealBroken when a file's blocks do not add up.
    """
    files = size = 0
    for path, node in repository.walk(tree):
        found = sum(_find(repository, blob).entry.size for blob in node.content)
        if node.is_file:
            if found != node.size:
                raise SealBroken(
                    f"{os.fsdecode(path)} has {found} bytes in blocks, not {node.size}"
                )
            files, size = files + 1, size + node.size
    return Totals(files, size)


def needs(repository: Repository, tree: str) -> Iterator[tuple[bytes, str]]:
    """Every path of a snapshot, with each pack that it needs; ObjectMissing when one is in none."""
    yield b"/", _pack_of(repository, tree, BlobType.TREE)
    for path, node in repository.walk(tree):
        if node.is_directory:
            yield path, _pack_of(repository, node.subtree, BlobType.TREE)
        for blob in node.content:
            yield path, _pack_of(repository, blob, BlobType.DATA)


def _pack_of(repository: Repository, blob: str, kind: BlobType) -> str:
    return repository.place(bytes.fromhex(blob), kind).pack


def _find(repository: Repository, blob: str) -> Place:
    return repository.place(bytes.fromhex(blob), BlobType.DATA)


def _write(repository: Repository, place: Path, node: Node, moved: Moved, syncing: Syncing) -> None:
    with place.open("xb", buffering=0) as file:
        for data in blobs(repository, node.content):
            _put(file, data)
            moved(len(data))
        if file.tell() != node.size:
            raise SealBroken(f"{place.name} has {file.tell()} bytes in blocks, not {node.size}")
        _attributes(place, node)
        syncing.give(file.fileno())


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
