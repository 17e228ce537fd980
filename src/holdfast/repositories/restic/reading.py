"""Reads a snapshot back: into a directory, or only to prove that it can be.

Blobs are fetched in the order of the files; neighbours that lie together in one pack come with one
request. Every blob is proven by its id, so what is written is what was saved.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.domain.errors import ObjectMissing, SealBroken
from holdfast.repositories.restic.index import Place
from holdfast.repositories.restic.repository import Repository
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
    for run in _runs(repository, content):
        first, last = run[0].entry, run[-1].entry
        end = last.offset + last.stored
        whole = memoryview(repository.objects.part("data", run[0].pack, first.offset, end))
        for place in run:
            start = place.entry.offset - first.offset
            yield repository.plain(place, whole[start : start + place.entry.stored])


def _runs(repository: Repository, content: Sequence[str]) -> Iterator[list[Place]]:
    """Blobs that one request can fetch: next to each other in one pack."""
    run: list[Place] = []
    for blob in content:
        place = _find(repository, blob)
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

    `moved` hears how many bytes were written, and may raise to stop.
    """
    files = size = 0
    directories: list[tuple[Path, Node]] = []
    for path, node in repository.walk(tree):
        place = target / os.fsdecode(path)
        if node.is_directory:
            place.mkdir(mode=0o700)
            directories.append((place, node))
        elif node.is_file:
            _write(repository, place, node, moved)
            files, size = files + 1, size + node.size
        else:
            place.symlink_to(os.fsdecode(node.target))
    for place, node in reversed(directories):  # from the inside out: times and modes stay
        place.chmod(node.mode & 0o7777)
        os.utime(place, ns=(node.mtime, node.mtime))
        _sync(place)
    _sync(target)
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


def _find(repository: Repository, blob: str) -> Place:
    place = repository.index.find(bytes.fromhex(blob))
    if place is None:
        raise ObjectMissing(f"no pack of the repository holds blob {blob}")
    return place


def _write(repository: Repository, place: Path, node: Node, moved: Moved) -> None:
    with place.open("xb", buffering=0) as file:
        for data in blobs(repository, node.content):
            file.write(data)
            moved(len(data))
        if file.tell() != node.size:
            raise ObjectMissing(f"{place.name} has {file.tell()} bytes in the repository's blobs")
        os.fsync(file.fileno())
    place.chmod(node.mode & 0o7777)
    os.utime(place, ns=(node.mtime, node.mtime))


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
