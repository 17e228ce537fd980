"""Writes and reads packs: many sealed blobs in one object, with a sealed table at its end.

`blob | blob | ... | sealed header | length of the sealed header, uint32 LE`. Each header entry is
`type(1) | stored length(4) | [plain length(4) when compressed] | id(32)`.
"""

import struct
import threading
from array import array
from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from typing import NamedTuple

import zstandard

from holdfast.domain.errors import SealBroken
from holdfast.repositories.restic.format.crypto import OVERHEAD, Key

_PLAIN, _COMPRESSED = struct.Struct("<BI32s"), struct.Struct("<BII32s")
_LENGTH = struct.Struct("<I")


class BlobType(IntEnum):
    DATA = 0
    TREE = 1

    @property
    def word(self) -> str:
        return self.name.lower()


class Entry(NamedTuple):
    """One blob of a pack. Sizes in bytes; `plain` is 0 for one that is not compressed."""

    id: bytes
    type: BlobType
    offset: int
    stored: int
    plain: int

    @property
    def size(self) -> int:
        return self.plain or self.stored - OVERHEAD


_own = threading.local()


def unpacked(data: bytes, entry: Entry) -> bytes:
    """Returns a compressed blob's plain bytes. Raises SealBroken for damaged ones."""
    try:
        return _decompressor().decompress(data, max_output_size=entry.plain)
    except zstandard.ZstdError as error:
        raise SealBroken(f"blob {entry.id.hex()} is not what was written") from error


def unpacked_batch(blobs: Sequence[bytes], entries: Sequence[Entry]) -> list[bytes | memoryview]:
    """Returns the plain bytes of opened blobs. Raises SealBroken for damaged ones.

    All are decompressed in one call: threads that ask for the interpreter's lock once for each
    small blob spend more processor time on waking each other than on the blobs.
    """
    plains = list[bytes | memoryview](blobs)
    rows = [row for row, entry in enumerate(entries) if entry.plain]
    if not rows:
        return plains
    sizes = array("Q", (entries[row].plain for row in rows))
    try:
        segments = _decompressor().multi_decompress_to_buffer(
            [blobs[row] for row in rows], decompressed_sizes=sizes.tobytes()
        )
    except zstandard.ZstdError:
        # The error says no blob's id.
        return [
            unpacked(blob, entry) if entry.plain else blob
            for blob, entry in zip(blobs, entries, strict=True)
        ]
    for number, row in enumerate(rows):
        plains[row] = memoryview(segments[number])  # pyright: ignore[reportArgumentType] - a buffer, which its stub does not say
    return plains


def _decompressor() -> zstandard.ZstdDecompressor:
    """Each thread keeps its own: making one takes longer than a small blob."""
    if not hasattr(_own, "decompressor"):
        _own.decompressor = zstandard.ZstdDecompressor()
    return _own.decompressor


def header(entries: list[Entry], key: Key) -> bytes:
    """Returns the header that ends a pack of these blobs."""
    table = b"".join(
        _COMPRESSED.pack(entry.type + 2, entry.stored, entry.plain, entry.id)
        if entry.plain
        else _PLAIN.pack(entry.type, entry.stored, entry.id)
        for entry in entries
    )
    sealed = key.seal(table)
    return sealed + _LENGTH.pack(len(sealed))


def size(entries: Iterable[Entry]) -> int:
    """Returns the bytes of a whole pack of these blobs."""
    return OVERHEAD + _LENGTH.size + sum(share(entry) for entry in entries)


def share(entry: Entry) -> int:
    """Returns the bytes that a blob takes of its pack: itself, and its entry in the header."""
    return entry.stored + (_COMPRESSED if entry.plain else _PLAIN).size


def header_size(tail: bytes) -> int:
    """Returns the size of the sealed header, from the last four bytes of a pack."""
    return int(_LENGTH.unpack(tail)[0])


def read_header(
    stored: int, part: Callable[[int, int], bytes | memoryview], key: Key
) -> list[Entry]:
    """Returns the blobs that a pack's own header names.

    `part` reads its bytes from one offset to another, `stored` is its length. Raises SealBroken
    for a damaged header.
    """
    if stored < _LENGTH.size:
        raise SealBroken("a pack is too short")
    length = header_size(bytes(part(stored - _LENGTH.size, stored)))
    begin = stored - _LENGTH.size - length
    if begin < 0:
        raise SealBroken("the header of a pack cannot be read")
    entries = parse(bytes(part(begin, stored - _LENGTH.size)), key)
    if not entries or size(entries) != stored:
        raise SealBroken("the header of a pack does not fit its length")
    return entries


def parse(sealed: bytes, key: Key) -> list[Entry]:
    table, entries, at, offset = key.open(sealed), list[Entry](), 0, 0
    while at < len(table):
        compressed = table[at] >= 2
        layout = _COMPRESSED if compressed else _PLAIN
        try:
            kind, stored, *rest = layout.unpack_from(table, at)
            blob = BlobType(kind - 2 if compressed else kind)
        except (struct.error, ValueError) as error:
            raise SealBroken("the header of a pack cannot be read") from error
        entries.append(Entry(rest[-1], blob, offset, stored, rest[0] if compressed else 0))
        at, offset = at + layout.size, offset + stored
    return entries
