"""Compresses and seals blobs on other threads; what comes out is in the order of what went in.

zstd and the ciphers release the interpreter's lock, so the cores share the work. Blobs go to the
threads in batches, and only so many are on their way: memory is bounded however slow they are.
"""

import os
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import zstandard

from holdfast.repositories.restic.crypto import Key
from holdfast.repositories.restic.pack import BlobType

_BATCH_BYTES = 256 << 10
_ON_THE_WAY = 8
_THREADS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class Blob:
    """`data` is plain before it was sealed, sealed after; `plain` the bytes it had before."""

    id: bytes
    type: BlobType
    data: bytes
    plain: int


class Sealing:
    """One writer's. An error of a thread is raised where its results are taken."""

    def __init__(self, key: Key, level: int) -> None:
        self._key = key
        self._level = level
        self._own = threading.local()
        self._threads: ThreadPoolExecutor | None = None
        self._batch: list[Blob] = []
        self._bytes = 0
        self._going: deque[Future[list[Blob]]] = deque()

    def give(self, blob: Blob) -> Iterator[Blob]:
        """Takes one; gives those back that are sealed, when too many are on their way."""
        self._batch.append(blob)
        self._bytes += blob.plain
        if self._bytes >= _BATCH_BYTES:
            self._send()
        while len(self._going) > _ON_THE_WAY:
            yield from self._going.popleft().result()

    def rest(self) -> Iterator[Blob]:
        """All that are left; the threads end."""
        self._send()
        while self._going:
            yield from self._going.popleft().result()
        if self._threads is not None:
            self._threads.shutdown()
            self._threads = None

    def _send(self) -> None:
        if not self._batch:
            return
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, "sealing")
        self._going.append(self._threads.submit(self._sealed, self._batch))
        self._batch, self._bytes = [], 0

    def _sealed(self, batch: list[Blob]) -> list[Blob]:
        if not hasattr(self._own, "squeeze"):
            self._own.squeeze = zstandard.ZstdCompressor(level=self._level)
        squeeze: zstandard.ZstdCompressor = self._own.squeeze
        return [
            Blob(blob.id, blob.type, self._key.seal(squeeze.compress(blob.data)), blob.plain)
            for blob in batch
        ]
