"""Collects new blobs into packs and lists them in the index.

Packs are written when they are full, an index object now and then, so that a killed run leaves
packs that the next one can use or prune can remove. A pack is written while the next one fills;
only that one and the open ones are in memory.
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
from holdfast.repositories.restic.write.sealer import Blob, BlobSealer, Block

PACK_BYTES = 16 << 20
_INDEX_BLOBS = 20_000
_ZSTD_LEVEL = 1
"""In blocks of 32 KiB a higher level saves nothing, and 3 takes a third longer."""


class _OpenPack:
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
    """Packs the blobs of one writer.

    `added` counts stored bytes of new blobs, `new` the blobs; both are complete after `flush`.
    """

    def __init__(
        self,
        objects: Objects,
        key: Key,
        index: Index,
        level: int = _ZSTD_LEVEL,
        *,
        ahead: bool = False,
    ) -> None:
        """`ahead` goes on while a pack is written.

        Only for a caller that does not use the store otherwise until `flush`; after an error one
        write may still be under way.
        """
        self._objects = objects
        self.key = key
        self._index = index
        self._sealer = BlobSealer(key, level, self._claim)
        self._ahead = ThreadPoolExecutor(1, "pack") if ahead else None
        self._upload: tuple[Future[str], list[Entry]] | None = None
        self._open = {kind: _OpenPack() for kind in BlobType}
        self._known_lock = threading.Lock()  # index and pending, which the sealing threads read
        self._pending: set[tuple[BlobType, bytes]] = set()
        self._unlisted: dict[str, list[Entry]] = {}
        self.packs: list[str] = []
        self.added = 0
        self.new = 0

    def save(
        self, kind: BlobType, data: bytes | memoryview, named: Callable[[bytes], None]
    ) -> None:
        """Stores a blob unless the repository has it. The caller must not change `data` any more.

        `named` is called with the blob's id: in the order of the calls, by `flush` at the latest.
        """
        for blob in self._sealer.give(Block(kind, data, named)):
            self._add(blob)

    def settle(self) -> None:
        """Waits until everything saved so far has its name."""
        for blob in self._sealer.rest():
            self._add(blob)

    def has(self, kind: BlobType, blob: bytes) -> bool:
        """Tells whether a blob is in the repository, or on its way there."""
        with self._known_lock:
            return self._has(kind, blob)

    def _has(self, kind: BlobType, blob: bytes) -> bool:
        return (kind, blob) in self._pending or self._index.row(blob, kind) is not None

    def _claim(self, kind: BlobType, blob: bytes) -> bool:
        """Returns True to the first caller with a new blob, who has to store it."""
        with self._known_lock:
            new = not self._has(kind, blob)
            if new:
                self._pending.add((kind, blob))
            return new

    def adopt(self, blob: bytes, kind: BlobType, sealed: bytes, plain: int) -> None:
        """Stores a blob that is compressed and sealed already."""
        with self._known_lock:
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
        self._open[kind] = _OpenPack()
        self._finish_upload()
        if self._ahead is None:
            self._stored(self._objects.put("data", body), full.entries)
        else:
            self._upload = self._ahead.submit(self._objects.put, "data", body), full.entries

    def _finish_upload(self) -> None:
        """Waits until the pack that is being written, if any, is stored."""
        upload, self._upload = self._upload, None
        if upload is not None:
            name, entries = upload
            self._stored(name.result(), entries)

    def _stored(self, name: str, entries: list[Entry]) -> None:
        self.packs.append(name)
        with self._known_lock:
            self._index.add(name, entries)
            self._pending.difference_update((entry.type, entry.id) for entry in entries)
        self.list_pack(name, entries)

    def list_pack(self, pack: str, entries: list[Entry]) -> None:
        """Puts a pack into the next index object."""
        self._unlisted[pack] = entries
        if sum(len(entries) for entries in self._unlisted.values()) >= _INDEX_BLOBS:
            self._list()

    def _list(self) -> None:
        if self._unlisted:
            body = seal_document(self.key, indexes.document(self._unlisted))
            self._objects.put("index", body)
            self._unlisted = {}

    def flush(self) -> None:
        """Stores and lists everything saved so far."""
        self.settle()
        for kind in BlobType:
            self._close(kind)
        self._finish_upload()
        self._list()
