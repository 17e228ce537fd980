"""The way back: plain bytes of a gzip or zstd stream, in bounded memory.

A stream that ends before its own end mark, or does not decompress, is no backup: both raise
EvidenceMissing. Several members (gzip) or frames (zstd) in a row are one stream, as stock tools
have it. Nothing after the first damaged byte is ever returned as good: checksums are verified.

Compressed input is cut into small slices, because a few kilobytes of zeros can unpack to many
megabytes; the pieces are gathered again, so a consumer sees chunks worth a system call.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import zstandard
from isal import isal_zlib

from holdfast.domain.errors import EvidenceMissing
from holdfast.pipeline.compress import GZ, ZSTD

_SLICE = 4 << 10
_GATHER = 1 << 20
_isal: Any = isal_zlib
_DAMAGED: tuple[type[Exception], ...] = (_isal.error, zstandard.ZstdError)


class _Unpacker(Protocol):
    """One member or frame: what follows its end is `unused_data`."""

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
    return _gathered(_pieces(chunks, _UNPACKERS[compression]))


def recognise(head: bytes) -> str | None:
    """The compression of a file that begins so; None: it is not compressed as we know it."""
    for compression, magic in _MAGIC.items():
        if head.startswith(magic):
            return compression
    return None


def _pieces(chunks: Iterator[bytes], fresh: Callable[[], _Unpacker]) -> Iterator[bytes]:
    unpacker = fresh()
    started = ended = False
    for data in _slices(chunks):
        rest = data
        while rest:
            if ended:
                unpacker, started = fresh(), False
            yield _unpack(unpacker, rest)
            started, ended = True, unpacker.eof
            rest = unpacker.unused_data if ended else b""
    if not (started and ended):
        raise EvidenceMissing("the compressed data stops before its end")


def _slices(chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        for offset in range(0, len(chunk), _SLICE):
            yield chunk[offset : offset + _SLICE]


def _unpack(unpacker: _Unpacker, data: bytes) -> bytes:
    try:
        return unpacker.decompress(data)
    except _DAMAGED as error:
        raise EvidenceMissing(f"the compressed data is damaged: {error}") from error


def _gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _GATHER:
            yield b"".join(held)
            held, size = [], 0
    if size:
        yield b"".join(held)


def _gzip_member() -> _Unpacker:
    return _isal.decompressobj(wbits=16 + isal_zlib.MAX_WBITS)


def _zstd_frame() -> _Unpacker:
    return zstandard.ZstdDecompressor().decompressobj()


_MAGIC: Mapping[str, bytes] = {GZ: b"\x1f\x8b", ZSTD: b"\x28\xb5\x2f\xfd"}
_UNPACKERS: Mapping[str, Callable[[], _Unpacker]] = {GZ: _gzip_member, ZSTD: _zstd_frame}
