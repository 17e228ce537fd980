"""Fetches, opens and proves blocks ahead of the one who writes them; the order stays what it was.

The store is asked by several threads at once, so that one which answers in 50 ms still keeps its
line full; sha256, zstd and the ciphers release the interpreter's lock, so the cores share the rest.
Blocks go in batches, and only so many are on their way: memory is bounded however slow the writer.
"""

import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import NamedTuple

import zstandard

from holdfast.domain.errors import SealBroken
from holdfast.repositories.restic.crypto import Key
from holdfast.repositories.restic.index import Place
from holdfast.repositories.restic.pack import Entry

BATCH_BYTES = 2 << 20
"""Plain bytes of a batch, about: large enough that a request is worth its latency."""

FETCHING = 8
"""Requests at a time. At 50 ms each that is 300 MB/s."""

AHEAD = 16
"""Batches on their way: 32 MB of plain bytes, and what they were fetched as."""

_GAP_BYTES = 64 << 10
"""Read over rather than asked for again."""

_OPENING = min(4, os.cpu_count() or 1)

Part = Callable[[str, int, int], bytes]
"""Pack, start and end to its stored bytes; called by several threads."""


class _Run(NamedTuple):
    """Neighbours in one pack, fetched with one request."""

    pack: str
    start: int
    end: int
    places: list[Place]


class Opening:
    """One reader's. An error of a thread is raised where its results are taken."""

    def __init__(self, key: Key, part: Part) -> None:
        self._key = key
        self._part = part
        self._own = threading.local()
        self._fetching = ThreadPoolExecutor(FETCHING, "fetching")
        self._opening = ThreadPoolExecutor(_OPENING, "opening")

    def __enter__(self) -> "Opening":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for pool in (self._fetching, self._opening):
            pool.shutdown(cancel_futures=True)

    def blocks(self, places: Iterable[Place]) -> Iterator[list[bytes]]:
        """The plain bytes of these blobs in order, a batch at a time, each proven by its id.

        SealBroken when one is not what was written; what the store raises.
        """
        going: deque[Future[list[bytes]]] = deque()
        for batch in _batches(places):
            fetched = [self._fetching.submit(self._fetch, run) for run in _runs(batch)]
            going.append(self._opening.submit(self._opened, fetched))
            if len(going) >= AHEAD:
                yield going.popleft().result()
        while going:
            yield going.popleft().result()

    def _fetch(self, run: _Run) -> list[tuple[Place, memoryview]]:
        whole = memoryview(self._part(run.pack, run.start, run.end))
        return [
            (place, whole[start : start + place.entry.stored])
            for place in run.places
            for start in (place.entry.offset - run.start,)
        ]

    def _opened(self, fetched: Sequence[Future[list[tuple[Place, memoryview]]]]) -> list[bytes]:
        """One pass for each kind of work, while its code and tables are at hand."""
        sealed = [blob for run in fetched for blob in run.result()]
        packed = [self._key.open(stored) for _, stored in sealed]
        entries = [place.entry for place, _ in sealed]
        plain = [self._unpacked(entry, data) for entry, data in zip(entries, packed, strict=True)]
        for entry, data in zip(entries, plain, strict=True):
            if hashlib.sha256(data).digest() != entry.id:
                raise _broken(entry)
        return plain

    def _unpacked(self, entry: Entry, data: bytes) -> bytes:
        if not entry.plain:
            return data
        if not hasattr(self._own, "expand"):
            self._own.expand = zstandard.ZstdDecompressor()
        expand: zstandard.ZstdDecompressor = self._own.expand
        try:
            return expand.decompress(data, max_output_size=entry.plain)
        except zstandard.ZstdError as error:
            raise _broken(entry) from error


def _broken(entry: Entry) -> SealBroken:
    return SealBroken(f"blob {entry.id.hex()} is not what was written")


def _batches(places: Iterable[Place]) -> Iterator[list[Place]]:
    batch: list[Place] = []
    size = 0
    for place in places:
        batch.append(place)
        size += place.entry.size
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _runs(batch: Sequence[Place]) -> Iterator[_Run]:
    run: _Run | None = None
    for place in batch:
        entry = place.entry
        goes_on = run is not None and run.pack == place.pack
        if run is not None and goes_on and 0 <= entry.offset - run.end <= _GAP_BYTES:
            run.places.append(place)
            run = run._replace(end=entry.offset + entry.stored)
            continue
        if run is not None:
            yield run
        run = _Run(place.pack, entry.offset, entry.offset + entry.stored, [place])
    if run is not None:
        yield run
