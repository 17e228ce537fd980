"""Collects new blobs into packs and tells the index where they went.

Packs are written when they are full, an index object now and then, so that a killed run leaves
what the next one can use or prune can remove. A pack is written while the next one fills; never
more than that one and the open ones are in memory.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from holdfast.repositories.restic.format import index as indexes
from holdfast.repositories.restic.format import pack as packs
from holdfast.repositories.restic.format.crypto import Key
from holdfast.repositories.restic.format.index import Index
from holdfast.repositories.restic.format.objects import Objects, seal_document
from holdfast.repositories.restic.format.pack import BlobType, Entry
from holdfast.repositories.restic.write.sealing import Blob, Block, Sealing

PACK_BYTES = 16 << 20
_INDEX_BLOBS = 20_000
_LEVEL = 1
"""Of zstd. In blocks of 32 KiB more effort finds no more, and 3 takes a third longer."""


class _Open:
    """A pack being filled."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.entries: list[Entry] = []
        self.size = 0

    def add(self, blob: Blob) -> None:
        stored = len(blob.data)
        self.entries.append(Entry(blob.id, blob.type, self.size, stored, blob.plain))
        self.parts.append(blob.data)
        self.size += stored


class Packer:
    """One writer's. `added` counts stored bytes of new blobs, `new` the blobs; both are complete
    after `flush`.
    """

    def __init__(
        self, objects: Objects, key: Key, index: Index, level: int = _LEVEL, *, ahead: bool = False
    ) -> None:
        """`ahead`: go on while a pack is written. Only for who calls the store by nothing else
        until `flush`; after an error one write may still be under way.
        """
        self._objects = objects
        self.key = key
        self._index = index
        self._sealing = Sealing(key, level, self._claim)
        self._ahead = ThreadPoolExecutor(1, "pack") if ahead else None
        self._flying: tuple[Future[str], list[Entry]] | None = None
        self._open = {kind: _Open() for kind in BlobType}
        self._known = threading.Lock()  # index and pending, which the sealing threads ask for
        self._pending: set[tuple[BlobType, bytes]] = set()
        self._unlisted: dict[str, list[Entry]] = {}
        self.packs: list[str] = []
        self.added = 0
        self.new = 0

    def save(
        self, kind: BlobType, data: bytes | memoryview, named: Callable[[bytes], None]
    ) -> None:
        """Stored only when the repository does not have it yet. `data` stays as it is from now on.

        `named` hears the blob's id: in the order of the calls, by `flush` at the latest.
        """
        for blob in self._sealing.give(Block(kind, data, named)):
            self._add(blob)

    def settle(self) -> None:
        """Everything saved so far has its name on return."""
        for blob in self._sealing.rest():
            self._add(blob)

    def has(self, kind: BlobType, blob: bytes) -> bool:
        """Is it in the repository, or on its way there?"""
        with self._known:
            return self._has(kind, blob)

    def _has(self, kind: BlobType, blob: bytes) -> bool:
        return (kind, blob) in self._pending or self._index.row(blob, kind) is not None

    def _claim(self, kind: BlobType, blob: bytes) -> bool:
        """True for the first who asks for a blob that is nowhere: he brings it."""
        with self._known:
            new = not self._has(kind, blob)
            if new:
                self._pending.add((kind, blob))
            return new

    def adopt(self, blob: bytes, kind: BlobType, sealed: bytes, plain: int) -> None:
        """Stores a blob that is compressed and sealed already."""
        with self._known:
            self._pending.add((kind, blob))
        self._add(Blob(blob, kind, sealed, plain))

    def _add(self, blob: Blob) -> None:
        self._open[blob.type].add(blob)
        self.added += len(blob.data)
        self.new += 1
        if self._open[blob.type].size >= PACK_BYTES:
            self._close(blob.type)

    def _close(self, kind: BlobType) -> None:
        full = self._open[kind]
        if not full.entries:
            return
        body = b"".join((*full.parts, packs.header(full.entries, self.key)))
        self._open[kind] = _Open()
        self._land()
        if self._ahead is None:
            self._stored(self._objects.put("data", body), full.entries)
        else:
            self._flying = self._ahead.submit(self._objects.put, "data", body), full.entries

    def _land(self) -> None:
        """The pack that is being written, if any, is stored on return."""
        flying, self._flying = self._flying, None
        if flying is not None:
            name, entries = flying
            self._stored(name.result(), entries)

    def _stored(self, name: str, entries: list[Entry]) -> None:
        self.packs.append(name)
        with self._known:
            self._index.add(name, entries)
            self._pending.difference_update((entry.type, entry.id) for entry in entries)
        self.list_again(name, entries)

    def list_again(self, pack: str, entries: list[Entry]) -> None:
        """The pack goes into the next index object."""
        self._unlisted[pack] = entries
        if sum(len(entries) for entries in self._unlisted.values()) >= _INDEX_BLOBS:
            self._list()

    def _list(self) -> None:
        if self._unlisted:
            body = seal_document(self.key, indexes.document(self._unlisted))
            self._objects.put("index", body)
            self._unlisted = {}

    def flush(self) -> None:
        """Everything saved so far is stored and listed on return."""
        self.settle()
        for kind in BlobType:
            self._close(kind)
        self._land()
        self._list()
