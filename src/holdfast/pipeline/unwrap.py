"""Unpacks a file that was packed outside of Holdfast, layer by layer, as stock tools do.

gzip, zstd, bzip2 and xz in any number of members; zip and tar when they hold one file. Bytes after
the last member are passed over with a warning, as gunzip does: our own files are read more strictly
(`decompress`). Everything streams: nothing is ever on a disk, and memory stays bounded.
"""

import bz2
import io
import lzma
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from holdfast.domain.errors import EvidenceMissing
from holdfast.domain.units import show_bytes
from holdfast.pipeline import zipped
from holdfast.pipeline.chunks import Chunks
from holdfast.pipeline.compress import GZ, ZSTD
from holdfast.pipeline.decompress import UNPACKERS, Unpacker, gathered, unpacked

_HEAD_BYTES = 64 << 10
_MAX_LAYERS = 4
_XZ_MEMORY_BYTES = 256 << 20
_BZ2, _XZ, _ZIP, _TAR = "bz2", "xz", "zip", "tar"

_MAGIC: Mapping[str, re.Pattern[bytes]] = {
    GZ: re.compile(rb"\x1f\x8b\x08"),
    ZSTD: re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),  # a frame, or one to skip
    _BZ2: re.compile(rb"BZh[1-9](?:1AY&SY|\x17\x72\x45\x38\x50\x90)"),
    _XZ: re.compile(rb"\xfd7zXZ\x00"),
}
_MAGIC_BYTES = 10
_UNPACKERS: Mapping[str, Callable[[], Unpacker]] = {
    **UNPACKERS,
    _BZ2: bz2.BZ2Decompressor,
    _XZ: lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES),
}
_PG_DIRECTORY = re.compile(r"(?:.*/)?(?:toc\.dat|\d+\.dat(?:\.\w+)?|blobs?_?\w*\.\w+|restore\.sql)")
"""Files of pg_dump's own formats, which only its tools can put together."""
_MONGO_DIRECTORY = re.compile(r"(?:.*/)?(?:prelude\.json|[^/]+\.(?:bson|metadata\.json))(?:\.gz)?")
"""Files of a directory of mongodump."""


def unwrap(chunks: Iterator[bytes], say: Callable[[str], None]) -> tuple[Iterator[bytes], str]:
    """Returns the plain bytes, and in words how they were packed.

    EvidenceMissing, also while they are read, for what is damaged, cut off or holds several files.
    """
    layers: list[str] = []
    while True:
        stream = Chunks(chunks)
        kind = None if len(layers) == _MAX_LAYERS else _kind(stream.peek(_HEAD_BYTES))
        if kind is None:
            packing = f"compressed as {' in '.join(layers)}" if layers else "not compressed"
            return stream.rest(), packing
        layers.append(kind)
        if kind == _ZIP:
            chunks = gathered(zipped.only_file(stream))
        elif kind == _TAR:
            chunks = gathered(_only_file_of_tar(stream))
        else:
            chunks = gathered(_members(stream, kind, say))


def _kind(head: bytes) -> str | None:
    for kind, magic in _MAGIC.items():
        if magic.match(head):
            return kind
    if head.startswith(zipped.ENTRY):
        return _ZIP
    if head[257:262] != b"ustar":
        return None
    try:
        with tarfile.open(fileobj=io.BytesIO(head), mode="r:") as tar:
            first = next((member.name for member in tar if member.isfile()), "")
    except (tarfile.TarError, EOFError, OSError):
        return _TAR
    # The tar of a dump tool is the dump itself.
    patterns = (_PG_DIRECTORY, _MONGO_DIRECTORY)
    return None if any(pattern.fullmatch(first) for pattern in patterns) else _TAR


def _members(stream: Chunks, kind: str, say: Callable[[str], None]) -> Iterator[bytes]:
    while True:
        yield from unpacked(stream, _UNPACKERS[kind]())
        head = stream.peek(_MAGIC_BYTES)
        if not _MAGIC[kind].match(head):
            break
    extra = sum(len(chunk) for chunk in stream.rest())
    if extra:
        say(f"{show_bytes(extra)} after the end of the {kind} data are no part of it: passed over")


def _only_file_of_tar(stream: Chunks) -> Iterator[bytes]:
    """EvidenceMissing for several files: which one is meant cannot be known."""
    opened = ""
    try:
        with tarfile.open(fileobj=_Readable(stream), mode="r|") as tar:
            for member in tar:
                if zipped.is_aside(member.name) or member.isdir():
                    continue
                if opened or not member.isfile():
                    raise EvidenceMissing(zipped.several("tar archive", opened, member.name))
                opened = member.name
                content: Any = tar.extractfile(member)
                while piece := content.read(_HEAD_BYTES):
                    yield piece
    except (tarfile.TarError, EOFError) as error:
        raise EvidenceMissing(f"the tar archive is damaged or cut off: {error}") from error
    if not opened:
        raise EvidenceMissing("the tar archive holds no file")
    for _ in stream.rest():
        pass


class _Readable(io.RawIOBase):
    """Chunks as a file object that is read once."""

    def __init__(self, stream: Chunks) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        return self._stream.take(size)
