"""Collects new blobs into packs and tells the index where they went.

Packs are written when they are full, an index object now and then, so that a killed run leaves
what the next one can use or prune can remove, and never more than one pack in memory.
"""

import hashlib

import zstandard

from holdfast.repositories.restic import index as indexes
from holdfast.repositories.restic import pack as packs
from holdfast.repositories.restic.crypto import Key
from holdfast.repositories.restic.index import Index
from holdfast.repositories.restic.objects import Objects, seal_document
from holdfast.repositories.restic.pack import BlobType, Entry

PACK_BYTES = 16 << 20
_INDEX_BLOBS = 20_000


class _Open:
    """A pack being filled."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.entries: list[Entry] = []
        self.size = 0

    def add(self, blob: bytes, kind: BlobType, sealed: bytes, plain: int) -> None:
        self.entries.append(Entry(blob, kind, self.size, len(sealed), plain))
        self.parts.append(sealed)
        self.size += len(sealed)


class Packer:
    """One writer's. `added` counts stored bytes of new blobs, `new` the blobs."""

    def __init__(self, objects: Objects, key: Key, index: Index, level: int = 3) -> None:
        self._objects = objects
        self.key = key
        self._index = index
        self._squeeze = zstandard.ZstdCompressor(level=level)
        self._open = {kind: _Open() for kind in BlobType}
        self._pending: set[tuple[BlobType, bytes]] = set()
        self._unlisted: dict[str, list[Entry]] = {}
        self.packs: list[str] = []
        self.added = 0
        self.new = 0

    def save(self, kind: BlobType, data: bytes | memoryview) -> bytes:
        """The blob's id; stored only when the repository does not have it yet."""
        blob = hashlib.sha256(data).digest()
        if not self.has(kind, blob):
            self.adopt(blob, kind, self.key.seal(self._squeeze.compress(data)), len(data))
        return blob

    def has(self, kind: BlobType, blob: bytes) -> bool:
        """Is it in the repository, or on its way there?"""
        return (kind, blob) in self._pending or self._index.row(blob, kind) is not None

    def adopt(self, blob: bytes, kind: BlobType, sealed: bytes, plain: int) -> None:
        """Stores a blob that is compressed and sealed already."""
        self._pending.add((kind, blob))
        self._open[kind].add(blob, kind, sealed, plain)
        self.added += len(sealed)
        self.new += 1
        if self._open[kind].size >= PACK_BYTES:
            self._close(kind)

    def _close(self, kind: BlobType) -> None:
        full = self._open[kind]
        if not full.entries:
            return
        body = b"".join((*full.parts, packs.header(full.entries, self.key)))
        self._open[kind] = _Open()
        name = self._objects.put("data", body)
        self.packs.append(name)
        self._index.add(name, full.entries)
        self._pending.difference_update((kind, entry.id) for entry in full.entries)
        self.list_again(name, full.entries)

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
        for kind in BlobType:
            self._close(kind)
        self._list()
