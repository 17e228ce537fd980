"""Where every blob is: all index objects of a repository, in memory.

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
        """A blob that is known already keeps its first place. Rows are never taken out."""
        number = len(self._packs)
        self._packs.append(pack)
        for entry in entries:
            if 3 * self._count >= 2 * self._slots:
                self._grow()
            seat, row = self._seat(_key(entry.id, entry.type))
            if row == _FREE:
                self._rows += _ROW.pack(
                    entry.id, number, entry.offset, entry.stored, entry.plain, entry.type
                )
                self._count += 1
                struct.pack_into("<I", self._table, seat, self._count)

    def _seat(self, key: bytes) -> tuple[int, int]:
        """The byte offset of the blob's slot, and its row number plus one (0: free)."""
        slot = int.from_bytes(key[:8], "little") % self._slots
        while True:
            (row,) = struct.unpack_from("<I", self._table, 4 * slot)
            if row == _FREE or self._key(row) == key:
                return 4 * slot, row
            slot = (slot + 1) % self._slots

    def _key(self, row: int) -> bytes:
        end = row * _ROW.size
        return bytes(self._rows[end - _ROW.size : end - _ROW.size + 32] + self._rows[end - 1 : end])

    def _grow(self) -> None:
        self._slots *= 2
        self._table = bytearray(4 * self._slots)
        for row in range(1, self._count + 1):
            seat, _ = self._seat(self._key(row))
            struct.pack_into("<I", self._table, seat, row)

    def row(self, blob: bytes, kind: BlobType) -> int | None:
        row = self._seat(_key(blob, kind))[1]
        return None if row == _FREE else row - 1

    def find(self, blob: bytes, kind: BlobType) -> BlobLocation | None:
        row = self._seat(_key(blob, kind))[1]
        return None if row == _FREE else self._place(row)

    def _place(self, row: int) -> BlobLocation:
        row_bytes = _ROW.unpack_from(self._rows, (row - 1) * _ROW.size)
        blob, pack, offset, stored, plain, kind = cast("_Row", row_bytes)
        return BlobLocation(self._packs[pack], Entry(blob, BlobType(kind), offset, stored, plain))

    def places(self) -> Iterator[BlobLocation]:
        for row in range(1, self._count + 1):
            yield self._place(row)


def _key(blob: bytes, kind: BlobType) -> bytes:
    return blob + bytes([kind])


def document(packs: dict[str, list[Entry]]) -> dict[str, Any]:
    """One index object for these packs."""
    return {
        "packs": [
            {"id": pack, "blobs": [_blob(entry) for entry in entries]}
            for pack, entries in packs.items()
        ]
    }


def _blob(entry: Entry) -> dict[str, Any]:
    blob: dict[str, Any] = {
        "id": entry.id.hex(),
        "type": entry.type.word,
        "offset": entry.offset,
        "length": entry.stored,
    }
    if entry.plain:
        blob["uncompressed_length"] = entry.plain
    return blob


def parse(found: dict[str, Any]) -> Iterator[tuple[str, list[Entry]]]:
    """Packs with their blobs. `supersedes`, of old objects, says nothing that is needed."""
    try:
        for pack in found.get("packs") or ():
            yield pack["id"], [_entry(blob) for blob in pack["blobs"]]
    except (KeyError, TypeError, ValueError) as error:
        raise SealBroken("an index object of the repository cannot be read") from error


def _entry(blob: dict[str, Any]) -> Entry:
    return Entry(
        bytes.fromhex(blob["id"]),
        BlobType[blob["type"].upper()],
        blob["offset"],
        blob["length"],
        blob.get("uncompressed_length", 0),
    )
