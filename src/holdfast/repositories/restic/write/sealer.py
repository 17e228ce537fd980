"""Names, compresses and seals blocks on other threads, in order.

sha256, zstd and the ciphers release the interpreter's lock, so the cores share the work. Blocks go
to the threads in batches, and only so many are under way: memory is bounded however slow they are.
"""

import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import zstandard

from holdfast.repositories.restic.format.crypto import Key
from holdfast.repositories.restic.format.pack import BlobType

_BATCH_BYTES = 512 << 10
_MAX_BATCHES = 8
_THREADS = min(4, os.cpu_count() or 1)


class Block(NamedTuple):
    """A block to store, with constant `data`. `named` is called with its id."""

    type: BlobType
    data: bytes | memoryview
    named: Callable[[bytes], None]


class Blob(NamedTuple):
    """A sealed block: `data` is compressed and sealed; `plain` is the size before."""

    id: bytes
    type: BlobType
    data: bytes
    plain: int


_Sealed = tuple[Block, bytes, Blob | None]


class BlobSealer:
    """Seals the blocks of one writer. An error of a thread is raised where results are taken.

    `claim` returns True for a new blob, once; threads call it.
    """

    def __init__(self, key: Key, level: int, claim: Callable[[BlobType, bytes], bool]) -> None:
        self._key = key
        self._level = level
        self._claim = claim
        self._own = threading.local()
        self._threads: ThreadPoolExecutor | None = None
        self._batch: list[Block] = []
        self._bytes = 0
        self._under_way: deque[Future[list[_Sealed]]] = deque()

    def give(self, block: Block) -> Iterator[Blob]:
        """Takes a block; yields sealed new blobs when too many batches are under way."""
        self._batch.append(block)
        self._bytes += len(block.data)
        if self._bytes >= _BATCH_BYTES:
            self._send()
        while len(self._under_way) > _MAX_BATCHES:
            yield from self._next_batch()

    def rest(self) -> Iterator[Blob]:
        """Yields all blobs that are left, and ends the threads."""
        self._send()
        while self._under_way:
            yield from self._next_batch()
        if self._threads is not None:
            self._threads.shutdown()
            self._threads = None

    def _send(self) -> None:
        if not self._batch:
            return
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, "sealing")
        self._under_way.append(self._threads.submit(self._seal, self._batch))
        self._batch, self._bytes = [], 0

    def _next_batch(self) -> Iterator[Blob]:
        for block, name, blob in self._under_way.popleft().result():
            block.named(name)
            if blob is not None:
                yield blob

    def _seal(self, batch: list[Block]) -> list[_Sealed]:
        """Names, compresses and seals a batch, with one pass for each kind of work.

        A thread that releases the interpreter's lock waits to get it back, and a batch that is
        compressed at once releases it once.
        """
        names = [hashlib.sha256(block.data).digest() for block in batch]
        new = [self._claim(block.type, name) for block, name in zip(batch, names, strict=True)]
        plain = [block.data for block, is_new in zip(batch, new, strict=True) if is_new]
        packed: Iterator[bytes] = iter(())
        if plain:
            if not hasattr(self._own, "squeeze"):
                self._own.squeeze = zstandard.ZstdCompressor(level=self._level)
            squeeze: zstandard.ZstdCompressor = self._own.squeeze
            segments = squeeze.multi_compress_to_buffer(plain, threads=1)  # pyright: ignore[reportArgumentType] - bytes or views are what it takes
            packed = (segments[n].tobytes() for n in range(len(segments)))
        sealed: list[_Sealed] = []
        for block, name, is_new in zip(batch, names, new, strict=True):
            blob = None
            if is_new:
                blob = Blob(name, block.type, self._key.seal(next(packed)), len(block.data))
            sealed.append((block, name, blob))
        return sealed
