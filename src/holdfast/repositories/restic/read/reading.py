"""Reads a snapshot's blobs in order, or only verifies that they are all there.

Blobs are fetched in the order of the files; neighbours in one pack come with one request. Every
blob is verified by its id, so what is written is what was saved.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from holdfast.domain.errors import SealBroken
from holdfast.repositories.restic.format.index import BlobLocation
from holdfast.repositories.restic.format.pack import BlobType
from holdfast.repositories.restic.repository import Repository

_RANGE_BYTES = 8 << 20
Moved = Callable[[int], None]


@dataclass(frozen=True)
class Totals:
    """Number and bytes of a snapshot's files."""

    files: int
    size: int


def blobs(repository: Repository, content: Sequence[str]) -> Iterator[bytes]:
    """Yields the plain bytes of these blobs, in order."""
    for location, sealed in fetch(repository, (_find(repository, blob) for blob in content)):
        yield repository.plain(location, sealed)


def fetch(
    repository: Repository, locations: Iterable[BlobLocation]
) -> Iterator[tuple[BlobLocation, memoryview]]:
    """Yields the sealed bytes of these blobs, in order, not verified yet."""
    for run in runs(locations):
        yield from sliced(run, repository.part(*extent(run)))


def extent(run: Sequence[BlobLocation]) -> tuple[str, int, int]:
    """Returns the pack of a run, and where in it the run starts and ends."""
    first, last = run[0].entry, run[-1].entry
    return run[0].pack, first.offset, last.offset + last.stored


def sliced(run: Sequence[BlobLocation], whole: memoryview) -> list[tuple[BlobLocation, memoryview]]:
    """Returns the sealed bytes of each blob of a run; `whole` are the run's stored bytes."""
    first = run[0].entry.offset
    starts = [location.entry.offset - first for location in run]
    return [
        (location, whole[start : start + location.entry.stored])
        for location, start in zip(run, starts, strict=True)
    ]


def runs(locations: Iterable[BlobLocation], gap: int = 0) -> Iterator[list[BlobLocation]]:
    """Yields blobs that one request can fetch: in one pack, with at most `gap` bytes between."""
    run: list[BlobLocation] = []
    for location in locations:
        if run:
            pack, start, end = extent(run)
            entry = location.entry
            is_near = pack == location.pack and 0 <= entry.offset - end <= gap
            if not is_near or entry.offset + entry.stored - start > _RANGE_BYTES:
                yield run
                run = []
        run.append(location)
    if run:
        yield run


def prove(repository: Repository, tree: str) -> Totals:
    """Reads all directories, and looks every block of every file up in the index.

    Raises ObjectMissing when one is in no pack, SealBroken when a file's blocks do not add up.
    """
    files = size = 0
    for path, node in repository.walk(tree):
        total = sum(_find(repository, blob).entry.size for blob in node.content)
        if node.is_file:
            if total != node.size:
                raise SealBroken(
                    f"{os.fsdecode(path)} has {total} bytes in blocks, not {node.size}"
                )
            files, size = files + 1, size + node.size
    return Totals(files, size)


def needs(repository: Repository, tree: str) -> Iterator[tuple[bytes, str]]:
    """Yields every path of a snapshot with each pack that it needs. Raises ObjectMissing."""
    yield b"/", _pack_of(repository, tree, BlobType.TREE)
    for path, node in repository.walk(tree):
        if node.is_directory:
            yield path, _pack_of(repository, node.subtree, BlobType.TREE)
        for blob in node.content:
            yield path, _pack_of(repository, blob, BlobType.DATA)


def _pack_of(repository: Repository, blob: str, kind: BlobType) -> str:
    return repository.locate(bytes.fromhex(blob), kind).pack


def _find(repository: Repository, blob: str) -> BlobLocation:
    return repository.locate(bytes.fromhex(blob), BlobType.DATA)
