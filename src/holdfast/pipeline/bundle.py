"""Joins compressed objects to one compressed tar without touching their bytes.

Both gzip and zstd define that concatenated members (frames) decompress to the concatenated
contents. So a `.tar.gz` is: a tiny member holding a tar header, the stored object as it is,
a tiny member holding padding and the next header, and so on. Sizes are known beforehand, so any
range can be served, and stock `tar` opens the result.
"""

import gzip
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import zstandard

Read = Callable[[str, int, int], Iterator[bytes]]
"""(key, start, end) to the stored bytes [start, end)."""


@dataclass(frozen=True)
class Content:
    """One stored object: its name in the tar and its plain and stored sizes in bytes."""

    name: str
    key: str
    plain_bytes: int
    stored_bytes: int


@dataclass(frozen=True)
class _Glue:
    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)


@dataclass(frozen=True)
class _Stored:
    key: str
    size: int


class Bundle:
    """The layout of one tar. `modified` in seconds since 1970; the same input, the same bytes."""

    def __init__(self, contents: Sequence[Content], compression: str, modified: int) -> None:
        pack = _PACK[compression]
        self._parts: list[_Glue | _Stored] = []
        padding = b""
        for content in contents:
            info = tarfile.TarInfo(content.name)
            info.size, info.mtime, info.mode = content.plain_bytes, modified, 0o600
            header = info.tobuf(format=tarfile.GNU_FORMAT)
            self._parts.append(_Glue(pack(padding + header)))
            self._parts.append(_Stored(content.key, content.stored_bytes))
            padding = b"\0" * (-content.plain_bytes % tarfile.BLOCKSIZE)
        self._parts.append(_Glue(pack(padding + b"\0" * (2 * tarfile.BLOCKSIZE))))

    @property
    def size(self) -> int:
        return sum(part.size for part in self._parts)

    def read(self, start: int, end: int, read: Read) -> Iterator[bytes]:
        """Yields the bytes [start, end) of the tar."""
        at = 0
        for part in self._parts:
            low, high = max(start - at, 0), min(end - at, part.size)
            if low < high:
                if isinstance(part, _Glue):
                    yield part.data[low:high]
                else:
                    yield from read(part.key, low, high)
            at += part.size


_PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": lambda data: gzip.compress(data, mtime=0),
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
}
