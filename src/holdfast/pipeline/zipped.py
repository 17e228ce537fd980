"""Reads the one file of a zip archive while it streams by.

A zip lists its contents at its end, which arrives after them. So each entry is read by the header
before it, and only the end tells that there was one file. Layout: APPNOTE.TXT of PKWARE, sections
4.3.7 (local header), 4.3.9 (data descriptor after an entry), 4.5.3 (sizes of more than 4 GiB).
"""

import bz2
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import zstandard

from holdfast.domain.errors import EvidenceMissing
from holdfast.pipeline.chunks import Chunks
from holdfast.pipeline.decompress import Unpacker

ENTRY = b"PK\x03\x04"
_DIRECTORY, _DESCRIPTOR, _END = b"PK\x01\x02", b"PK\x07\x08", b"PK\x05\x06"
_HEADER = struct.Struct("<HHHHHIIIHH")
_ENCRYPTED, _SIZES_FOLLOW, _UTF8 = 1 << 0, 1 << 3, 1 << 11
_STORED = 0
_ZIP64 = 1
_UNKNOWN_SIZE = 0xFFFFFFFF
_PIECE_BYTES = 64 << 10
_END_BYTES = 66 << 10  # the end record and the longest comment
_METHODS: Mapping[int, Callable[[], Unpacker]] = {
    8: lambda: zlib.decompressobj(-zlib.MAX_WBITS),
    12: bz2.BZ2Decompressor,
    93: lambda: zstandard.ZstdDecompressor().decompressobj(),
}


@dataclass
class _Entry:
    """`size` is that of the packed content in bytes; None when it follows the content."""

    name: str
    method: int
    checksum: int
    size: int | None
    follows: bool


def only_file(stream: Chunks) -> Iterator[bytes]:
    """Yields its bytes. EvidenceMissing for several files, damage, or an unknown packing."""
    return _ZipReader(stream).run()


class _ZipReader:
    def __init__(self, stream: Chunks) -> None:
        self._stream = stream

    def run(self) -> Iterator[bytes]:
        opened = ""
        while self._stream.peek(4) == ENTRY:
            entry = self.entry()
            content = self.content(entry)
            if is_aside(entry.name) or entry.name.endswith("/"):
                for _ in content:
                    pass
                continue
            if opened:
                raise EvidenceMissing(several("zip archive", opened, entry.name))
            opened = entry.name
            yield from content
        if self._stream.peek(4) not in (_DIRECTORY, _END):
            raise EvidenceMissing("the zip archive is damaged or cut off")
        if not opened:
            raise EvidenceMissing("the zip archive holds no file")
        last = b""
        for chunk in self._stream.rest():
            last = (last + chunk)[-_END_BYTES:]
        if _END not in last:
            raise EvidenceMissing("the zip archive is cut off: its end is missing")

    def entry(self) -> _Entry:
        self._stream.take(4)
        fixed = self._stream.take(_HEADER.size)
        if len(fixed) < _HEADER.size:
            raise EvidenceMissing("the zip archive is cut off")
        _, flags, method, _, _, checksum, packed, _, name_bytes, extra_bytes = _HEADER.unpack(fixed)
        raw = self._stream.take(name_bytes)
        name = raw.decode("utf-8" if flags & _UTF8 else "cp437", errors="replace")
        extra = self._stream.take(extra_bytes)
        if flags & _ENCRYPTED:
            raise EvidenceMissing(
                f"{name!r} in the zip archive is locked with a password:"
                " unpack it and import the dump"
            )
        size = _zip64_size(extra, packed) if packed == _UNKNOWN_SIZE else packed
        follows = bool(flags & _SIZES_FOLLOW)
        supported = (
            method in _METHODS if method else not (follows and not size and name[-1:] != "/")
        )
        if not supported:
            raise EvidenceMissing(
                f"{name!r} in the zip archive is packed in a way that is not known here"
                f" (method {method}): unpack it and import the dump"
            )
        return _Entry(name, method, checksum, None if follows and not size else size, follows)

    def content(self, entry: _Entry) -> Iterator[bytes]:
        checksum, packed = 0, 0
        pieces = self.stored(entry) if entry.method == _STORED else self.unpacked(entry)
        for plain, packed_bytes in pieces:
            packed += packed_bytes
            checksum = zlib.crc32(plain, checksum)
            if plain:
                yield plain
        expected = self.checksum_after(packed) if entry.follows else entry.checksum
        if checksum != expected:
            raise EvidenceMissing(
                f"{entry.name!r} in the zip archive is damaged: its checksum differs"
            )

    def stored(self, entry: _Entry) -> Iterator[tuple[bytes, int]]:
        left = entry.size or 0
        while left:
            piece = self._stream.take(min(left, _PIECE_BYTES))
            if not piece:
                raise EvidenceMissing(f"the zip archive is cut off inside {entry.name!r}")
            left -= len(piece)
            yield piece, len(piece)

    def unpacked(self, entry: _Entry) -> Iterator[tuple[bytes, int]]:
        unpacker = _METHODS[entry.method]()
        while not unpacker.eof:
            piece = self._stream.piece()
            if not piece:
                raise EvidenceMissing(f"the zip archive is cut off inside {entry.name!r}")
            try:
                plain = unpacker.decompress(piece)
            except (zlib.error, OSError, zstandard.ZstdError) as error:
                raise EvidenceMissing(
                    f"{entry.name!r} in the zip archive is damaged: {error}"
                ) from error
            unused = unpacker.unused_data if unpacker.eof else b""
            self._stream.give_back(len(unused))
            yield plain, len(piece) - len(unused)

    def checksum_after(self, packed: int) -> int:
        """The checksum that follows an entry whose header was written before its content.

        The descriptor has a signature or none, and sizes of 4 or 8 bytes.
        """
        if self._stream.peek(4) == _DESCRIPTOR:
            self._stream.take(4)
        trailer = self._stream.peek(20)
        if len(trailer) < 12:
            raise EvidenceMissing("the zip archive is cut off")
        large = len(trailer) == 20 and struct.unpack_from("<Q", trailer, 4)[0] == packed
        small = struct.unpack_from("<I", trailer, 4)[0] == packed
        self._stream.take(20 if large and not (small and trailer[12:16] in _NEXT) else 12)
        return int(struct.unpack_from("<I", trailer)[0])


def is_aside(name: str) -> bool:
    """Whether an entry is one of those that archive tools add beside what was packed."""
    last = name.rstrip("/").rpartition("/")[2].lower()
    return name.startswith("__MACOSX/") or last.startswith((".", "readme", "license"))


def several(kind: str, first: str, second: str) -> str:
    return (
        f"the {kind} holds several files, {first!r} and {second!r} among them: unpack it and import"
        " the dump alone"
    )


def _zip64_size(extra: bytes, packed: int) -> int:
    """The packed size of an entry of more than 4 GiB: the second number of its extra field."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, position)
        if kind == _ZIP64 and length >= 16:
            return int(struct.unpack_from("<Q", extra, position + 12)[0])
        position += 4 + length
    return packed


_NEXT = (ENTRY, _DIRECTORY, _END)
