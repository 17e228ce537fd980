"""Names, compresses and seals blocks on other threads; the order stays what it was.

sha256, zstd and the ciphers release the interpreter's lock, so the cores share the work. Blocks go
to the threads in batches, and only so many are on their way: memory is bounded however slow they
are.
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
_ON_THE_WAY = 8
_THREADS = min(4, os.cpu_count() or 1)


class Block(NamedTuple):
    """What is to be stored; nobody changes `data` any more. `named` is told its id."""

    type: BlobType
    data: bytes | memoryview
    named: Callable[[bytes], None]


class Blob(NamedTuple):
    """`data` is compressed and sealed; `plain` the bytes it had before."""

    id: bytes
    type: BlobType
    data: bytes
    plain: int


_Sealed = tuple[Block, bytes, Blob | None]


class Sealing:
    """One writer's. An error of a thread is raised where its results are taken.

    `claim` says whether a blob is new, and that it is not from then on; threads ask it.
    """

    def __init__(self, key: Key, level: int, claim: Callable[[BlobType, bytes], bool]) -> None:
        self._key = key
        self._level = level
        self._claim = claim
        self._own = threading.local()
        self._threads: ThreadPoolExecutor | None = None
        self._batch: list[Block] = []
        self._bytes = 0
        self._going: deque[Future[list[_Sealed]]] = deque()

    def give(self, block: Block) -> Iterator[Blob]:
        """Takes one; gives new blobs back that are sealed, when too many are on their way."""
        self._batch.append(block)
        self._bytes += len(block.data)
        if self._bytes >= _BATCH_BYTES:
            self._send()
        while len(self._going) > _ON_THE_WAY:
            yield from self._taken()

    def rest(self) -> Iterator[Blob]:
        """All that are left; the threads end."""
        self._send()
        while self._going:
            yield from self._taken()
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

    def _taken(self) -> Iterator[Blob]:
        for block, name, blob in self._going.popleft().result():
            block.named(name)
            if blob is not None:
                yield blob

    def _sealed(self, batch: list[Block]) -> list[_Sealed]:
        """One pass for each kind of work: a thread that gives the lock away waits to get it back,
        and a batch that is compressed at once gives it away once."""
        names = [hashlib.sha256(block.data).digest() for block in batch]
        new = [self._claim(block.type, name) for block, name in zip(batch, names, strict=True)]
        packed = self._packed(
            [block.data for block, is_new in zip(batch, new, strict=True) if is_new]
        )
        return [
            (block, name, self._blob(block, name, next(packed)) if is_new else None)
            for block, name, is_new in zip(batch, names, new, strict=True)
        ]

    def _packed(self, plain: list[bytes | memoryview]) -> Iterator[bytes]:
        if not plain:
            return iter(())
        if not hasattr(self._own, "squeeze"):
            self._own.squeeze = zstandard.ZstdCompressor(level=self._level)
        squeeze: zstandard.ZstdCompressor = self._own.squeeze
        packed = squeeze.multi_compress_to_buffer(plain, threads=1)  # pyright: ignore[reportArgumentType] - bytes or views are what it takes
        return (packed[n].tobytes() for n in range(len(packed)))

    def _blob(self, block: Block, name: bytes, packed: bytes) -> Blob:
        return Blob(name, block.type, self._key.seal(packed), len(block.data))
