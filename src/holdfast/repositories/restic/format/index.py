"""Holds the locations of all blobs of a repository in memory.

A repository of 100 GB in blocks of 32 KiB has three million blobs, so the table is two flat byte
arrays with open addressing, 63 to 69 bytes for each blob instead of some 300 of a dict.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from holdfast.domain.errors import SealBroken
from holdfast.repositories.restic.format.pack import BlobType, Entry

_ROW = struct.Struct("<32sIIIIB")  # blob id, pack number, offset, stored, plain, type
_Row = tuple[bytes, int, int, int, int, int]
_FREE = 0


@dataclass(frozen=True, slots=True)
class BlobLocation:
    """A blob and the pack it is in."""

    pack: str
    entry: Entry


class Index:
    """Blobs by id and type: the same bytes may be both a file's block and a directory.

    Rows are numbered from 0 in the order in which they were added.
    """

    def __init__(self) -> None:
        self._rows = bytearray()
        self._packs: list[str] = []
        self._slots = 1 << 12
        self._table = bytearray(4 * self._slots)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, pack: str, entries: Iterable[Entry]) -> None:
        """Adds a pack. A known blob keeps its first location; rows are never removed."""
        number = len(self._packs)
        self._packs.append(pack)
        for entry in entries:
            if 3 * self._count >= 2 * self._slots:
                self._slots *= 2
                self._table = bytearray(4 * self._slots)
                for row in range(1, self._count + 1):
                    slot, _ = self._slot(self._key(row))
                    struct.pack_into("<I", self._table, slot, row)
            slot, row = self._slot(_key(entry.id, entry.type))
            if row == _FREE:
                self._rows += _ROW.pack(
                    entry.id, number, entry.offset, entry.stored, entry.plain, entry.type
                )
                self._count += 1
                struct.pack_into("<I", self._table, slot, self._count)

    def _slot(self, key: bytes) -> tuple[int, int]:
        """Returns the byte offset of the blob's slot, and its row number plus one (0: free)."""
        slot = int.from_bytes(key[:8], "little") % self._slots
        while True:
            (row,) = struct.unpack_from("<I", self._table, 4 * slot)
            if row == _FREE or self._key(row) == key:
                return 4 * slot, row
            slot = (slot + 1) % self._slots

    def _key(self, row: int) -> bytes:
        end = row * _ROW.size
        return bytes(self._rows[end - _ROW.size : end - _ROW.size + 32] + self._rows[end - 1 : end])

    def row(self, blob: bytes, kind: BlobType) -> int | None:
        row = self._slot(_key(blob, kind))[1]
        return None if row == _FREE else row - 1

    def find(self, blob: bytes, kind: BlobType) -> BlobLocation | None:
        row = self._slot(_key(blob, kind))[1]
        return None if row == _FREE else self._location(row)

    def _location(self, row: int) -> BlobLocation:
        row_bytes = _ROW.unpack_from(self._rows, (row - 1) * _ROW.size)
        blob, pack, offset, stored, plain, kind = cast("_Row", row_bytes)
        return BlobLocation(self._packs[pack], Entry(blob, BlobType(kind), offset, stored, plain))

    def locations(self) -> Iterator[BlobLocation]:
        for row in range(1, self._count + 1):
            yield self._location(row)


def _key(blob: bytes, kind: BlobType) -> bytes:
    return blob + bytes([kind])


def document(packs: dict[str, list[Entry]]) -> dict[str, Any]:
    """Returns the index object for these packs."""
    listed: list[dict[str, Any]] = []
    for pack, entries in packs.items():
        blobs: list[dict[str, Any]] = []
        for entry in entries:
            blob = {"id": entry.id.hex(), "type": entry.type.word}
            blob |= {"offset": entry.offset, "length": entry.stored}
            if entry.plain:
                blob["uncompressed_length"] = entry.plain
            blobs.append(blob)
        listed.append({"id": pack, "blobs": blobs})
    return {"packs": listed}


def parse(index: dict[str, Any]) -> Iterator[tuple[str, list[Entry]]]:
    """Yields packs with their blobs. `supersedes`, of old index objects, is not needed."""
    try:
        for pack in index.get("packs") or ():
            yield (
                pack["id"],
                [
                    Entry(
                        bytes.fromhex(blob["id"]),
                        BlobType[blob["type"].upper()],
                        blob["offset"],
                        blob["length"],
                        blob.get("uncompressed_length", 0),
                    )
                    for blob in pack["blobs"]
                ],
            )
    except (KeyError, TypeError, ValueError) as error:
        raise SealBroken("an index object of the repository cannot be read") from error
