"""Fetches, decrypts and verifies blocks ahead of their writer, in order.

Several threads ask a far store, so that the line stays full although each answer takes 50 ms; what
is near is read by the threads that open it. sha256 and zstd release the interpreter's lock, so the
cores share the rest. Blocks go in batches, and only so many are under way: memory is bounded
however slow the writer is.
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

Sealed = list[tuple[BlobLocation, memoryview]]

Plain = Callable[[Sealed], list[bytes | memoryview]]
"""Returns the plain bytes of sealed blobs, verified by their ids; called by several threads."""


class BlobFetcher:
    """A pipeline for one reader. An error of a thread is raised where its results are taken.

    `is_near`: a part is read without waiting for a network.
    """

    def __init__(self, part: Part, plain: Plain, *, is_near: bool) -> None:
        self._part = part
        self._plain = plain
        self._is_near = is_near
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

    def blocks(self, locations: Iterable[BlobLocation]) -> Iterator[list[bytes | memoryview]]:
        """Yields the plain bytes of these blobs in order, a batch at a time.

        Raises SealBroken when one is not what was written, and the errors of the store.
        """
        under_way: deque[Future[list[bytes | memoryview]]] = deque()
        for batch in _batches(locations):
            batch_runs = list(runs(batch, _GAP_BYTES))
            if self._is_near:
                under_way.append(self._open_pool.submit(self._read, batch_runs))
            else:
                fetched = [self._fetch_pool.submit(self._fetch, run) for run in batch_runs]
                under_way.append(self._open_pool.submit(self._open, fetched))
            if len(under_way) >= MAX_BATCHES:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()

    def _fetch(self, run: Sequence[BlobLocation]) -> Sealed:
        pack, start, end = extent(run)
        return sliced(run, memoryview(self._part(pack, start, end)))

    def _read(self, batch_runs: Sequence[Sequence[BlobLocation]]) -> list[bytes | memoryview]:
        return self._plain([blob for run in batch_runs for blob in self._fetch(run)])

    def _open(self, fetched: Sequence[Future[Sealed]]) -> list[bytes | memoryview]:
        return self._plain([blob for run in fetched for blob in run.result()])


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
