"""Decompresses gzip and zstd streams in bounded memory.

A stream that ends before its own end mark, or does not decompress, is no backup: both raise
EvidenceMissing. Several members (gzip) or frames (zstd) in a row are one stream, as stock tools
have it. Nothing after the first damaged byte is ever returned as good: checksums are verified.

Compressed input is cut into small slices, because a few kilobytes of zeros can unpack to many
megabytes; the pieces are gathered again, so a consumer sees chunks worth a system call.
"""

import lzma
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import zstandard
from isal import isal_zlib

from holdfast.domain.errors import EvidenceMissing
from holdfast.pipeline.chunks import Chunks
from holdfast.pipeline.compress import GZ, ZSTD

_CHUNK_BYTES = 1 << 20
_isal: Any = isal_zlib
_DAMAGED: tuple[type[Exception], ...] = (
    *(_isal.error, zstandard.ZstdError),
    *(OSError, lzma.LZMAError),  # raised by bz2 and xz decompressors
)


class Unpacker(Protocol):
    """Unpacks one member or frame; `unused_data` is what follows its end."""

    def decompress(self, data: bytes, /) -> bytes: ...
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


def decompress(chunks: Iterator[bytes], compression: str) -> Iterator[bytes]:
    """The plain bytes, in chunks of about 1 MiB.

    Raises EvidenceMissing when the input is damaged or stops early, KeyError for an unknown
    compression.
    """
    stream, fresh = Chunks(chunks), UNPACKERS[compression]

    def members() -> Iterator[bytes]:
        yield from unpacked(stream, fresh())
        while stream.peek(1):
            yield from unpacked(stream, fresh())

    return gathered(members())


def unpacked(stream: Chunks, unpacker: Unpacker) -> Iterator[bytes]:
    """Yields one member up to its end; what follows it stays in the stream."""
    while not unpacker.eof:
        piece = stream.piece()
        if not piece:
            raise EvidenceMissing("the compressed data stops before its end")
        try:
            yield unpacker.decompress(piece)
        except _DAMAGED as error:
            raise EvidenceMissing(f"the compressed data is damaged: {error}") from error
    stream.give_back(len(unpacker.unused_data))


def gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Joins small pieces to chunks of about 1 MiB."""
    buffer: list[bytes] = []
    size = 0
    for piece in pieces:
        buffer.append(piece)
        size += len(piece)
        if size >= _CHUNK_BYTES:
            yield b"".join(buffer)
            buffer, size = [], 0
    if size:
        yield b"".join(buffer)


UNPACKERS: Mapping[str, Callable[[], Unpacker]] = {
    GZ: lambda: _isal.decompressobj(wbits=16 + isal_zlib.MAX_WBITS),
    ZSTD: lambda: zstandard.ZstdDecompressor().decompressobj(),
}
