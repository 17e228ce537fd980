"""Fetches, decrypts and verifies blocks ahead of their writer, in order.

Several threads ask the store, so that the line stays full although each answer takes 50 ms;
sha256, zstd and the ciphers release the interpreter's lock, so the cores share the rest. Blocks go
in batches, and only so many are under way: memory is bounded however slow the writer is.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from holdfast.repositories.restic.format.index import BlobLocation
from holdfast.repositories.restic.read.reading import extent, runs, sliced

BATCH_BYTES = 2 << 20
"""Plain bytes of a batch, about: large enough that a request is worth its latency."""

FETCH_THREADS = 8
"""Requests at a time. At 50 ms each that is 300 MB/s."""

MAX_BATCHES = 16
"""Batches under way: 32 MB of plain bytes, and the stored bytes they are made of."""

_GAP_BYTES = 64 << 10
"""A smaller gap between blobs is read rather than asked around."""

_OPEN_THREADS = min(4, os.cpu_count() or 1)

Part = Callable[[str, int, int], bytes]
"""Returns the stored bytes of a pack from start to end; called by several threads."""

Plain = Callable[[BlobLocation, memoryview], bytes]
"""Returns a sealed blob's plain bytes, verified by its id; called by several threads."""


class BlobFetcher:
    """A pipeline for one reader. An error of a thread is raised where its results are taken."""

    def __init__(self, part: Part, plain: Plain) -> None:
        self._part = part
        self._plain = plain
        self._fetch_pool = ThreadPoolExecutor(FETCH_THREADS, "fetching")
        self._open_pool = ThreadPoolExecutor(_OPEN_THREADS, "opening")

    def __enter__(self) -> "BlobFetcher":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for pool in (self._fetch_pool, self._open_pool):
            pool.shutdown(cancel_futures=True)

    def blocks(self, locations: Iterable[BlobLocation]) -> Iterator[list[bytes]]:
        """Yields the plain bytes of these blobs in order, a batch at a time.

        Raises SealBroken when one is not what was written, and the errors of the store.
        """
        under_way: deque[Future[list[bytes]]] = deque()
        for batch in _batches(locations):
            fetched = [self._fetch_pool.submit(self._fetch, run) for run in runs(batch, _GAP_BYTES)]
            under_way.append(self._open_pool.submit(self._open, fetched))
            if len(under_way) >= MAX_BATCHES:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()

    def _fetch(self, run: Sequence[BlobLocation]) -> list[tuple[BlobLocation, memoryview]]:
        pack, start, end = extent(run)
        return sliced(run, memoryview(self._part(pack, start, end)))

    def _open(
        self, fetched: Sequence[Future[list[tuple[BlobLocation, memoryview]]]]
    ) -> list[bytes]:
        return [
            self._plain(location, sealed) for run in fetched for location, sealed in run.result()
        ]


def _batches(locations: Iterable[BlobLocation]) -> Iterator[list[BlobLocation]]:
    batch: list[BlobLocation] = []
    size = 0
    for location in locations:
        batch.append(location)
        size += location.entry.size
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
