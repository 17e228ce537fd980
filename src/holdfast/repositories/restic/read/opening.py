"""Fetches, opens and proves blocks ahead of the one who writes them; the order stays what it was.

The store is asked by several threads at once, so that one which answers in 50 ms still keeps its
line full; sha256, zstd and the ciphers release the interpreter's lock, so the cores share the rest.
Blocks go in batches, and only so many are on their way: memory is bounded however slow the writer.
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

FETCHING = 8
"""Requests at a time. At 50 ms each that is 300 MB/s."""

AHEAD = 16
"""Batches on their way: 32 MB of plain bytes, and what they were fetched as."""

_GAP_BYTES = 64 << 10
"""Read over rather than asked for again."""

_OPENING = min(4, os.cpu_count() or 1)

Part = Callable[[str, int, int], bytes]
"""Pack, start and end to its stored bytes; called by several threads."""

Plain = Callable[[BlobLocation, memoryview], bytes]
"""The plain bytes of a sealed blob, proven by its id; called by several threads."""


class Opening:
    """One reader's. An error of a thread is raised where its results are taken."""

    def __init__(self, part: Part, plain: Plain) -> None:
        self._part = part
        self._plain = plain
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

    def blocks(self, places: Iterable[BlobLocation]) -> Iterator[list[bytes]]:
        """The plain bytes of these blobs in order, a batch at a time, each proven by its id.

        SealBroken when one is not what was written; what the store raises.
        """
        going: deque[Future[list[bytes]]] = deque()
        for batch in _batches(places):
            fetched = [self._fetching.submit(self._fetch, run) for run in runs(batch, _GAP_BYTES)]
            going.append(self._opening.submit(self._opened, fetched))
            if len(going) >= AHEAD:
                yield going.popleft().result()
        while going:
            yield going.popleft().result()

    def _fetch(self, run: Sequence[BlobLocation]) -> list[tuple[BlobLocation, memoryview]]:
        pack, start, end = extent(run)
        return sliced(run, memoryview(self._part(pack, start, end)))

    def _opened(
        self, fetched: Sequence[Future[list[tuple[BlobLocation, memoryview]]]]
    ) -> list[bytes]:
        return [self._plain(place, sealed) for run in fetched for place, sealed in run.result()]


def _batches(places: Iterable[BlobLocation]) -> Iterator[list[BlobLocation]]:
    batch: list[BlobLocation] = []
    size = 0
    for place in places:
        batch.append(place)
        size += place.entry.size
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
