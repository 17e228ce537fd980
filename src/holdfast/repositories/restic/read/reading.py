"""Reads a snapshot's blobs in order, or only proves that they are all there.

Blobs are fetched in the order of the files; neighbours that lie together in one pack come with one
request. Every blob is proven by its id, so what is written is what was saved.
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
    """Of a snapshot's files. Sizes in bytes."""

    files: int
    size: int


def blobs(repository: Repository, content: Sequence[str]) -> Iterator[bytes]:
    """The plain bytes of these blobs, in order."""
    for place, sealed in fetch(repository, (_find(repository, blob) for blob in content)):
        yield repository.plain(place, sealed)


def fetch(
    repository: Repository, places: Iterable[BlobLocation]
) -> Iterator[tuple[BlobLocation, memoryview]]:
    """The sealed bytes of these blobs, in order; nothing is proven yet."""
    for run in runs(places):
        yield from sliced(run, repository.part(*extent(run)))


def extent(run: Sequence[BlobLocation]) -> tuple[str, int, int]:
    """The pack of a run, and where in it the run starts and ends."""
    first, last = run[0].entry, run[-1].entry
    return run[0].pack, first.offset, last.offset + last.stored


def sliced(run: Sequence[BlobLocation], whole: memoryview) -> list[tuple[BlobLocation, memoryview]]:
    """The sealed bytes of each blob of a run, of which `whole` are the stored bytes."""
    first = run[0].entry.offset
    starts = [place.entry.offset - first for place in run]
    return [
        (place, whole[start : start + place.entry.stored])
        for place, start in zip(run, starts, strict=True)
    ]


def runs(places: Iterable[BlobLocation], gap: int = 0) -> Iterator[list[BlobLocation]]:
    """Blobs that one request can fetch: next to each other in one pack, with at most `gap` bytes
    between two."""
    run: list[BlobLocation] = []
    for place in places:
        if run and not _adjoins(run, place, gap):
            yield run
            run = []
        run.append(place)
    if run:
        yield run


def _adjoins(run: Sequence[BlobLocation], place: BlobLocation, gap: int) -> bool:
    pack, start, end = extent(run)
    return (
        pack == place.pack
        and 0 <= place.entry.offset - end <= gap
        and place.entry.offset + place.entry.stored - start <= _RANGE_BYTES
    )


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


def _find(repository: Repository, blob: str) -> BlobLocation:
    return repository.place(bytes.fromhex(blob), BlobType.DATA)
