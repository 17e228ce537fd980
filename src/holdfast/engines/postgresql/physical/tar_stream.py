"""Reads a tar as it arrives: one entry after the other, none kept in memory."""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.domain.errors import EvidenceMissing

_BLOCK = tarfile.BLOCKSIZE


@dataclass(frozen=True)
class TarEntry:
    """`mode` without the type; `mtime` in seconds; `target` of a symbolic link."""

    path: str
    mode: int
    mtime: int
    size: int
    directory: bool
    target: str


class TarStream:
    """Fed with chunks of any size. Each entry's bytes have to be read before the next entry."""

    def __init__(self, chunks: Iterator[bytes | memoryview]) -> None:
        self._chunks = chunks
        self._buffer = bytearray()
        self._left = self._padding = 0

    def entries(self) -> Iterator[TarEntry]:
        """Ends at the two empty blocks or, as older servers omit those, with the stream."""
        while self._buffer or self._more():
            header = self._take(_BLOCK)
            if header == bytes(_BLOCK):
                return
            info = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
            size = info.size if info.isreg() else 0
            self._left, self._padding = size, -size % _BLOCK
            yield TarEntry(
                path=info.name.removeprefix("./"),
                mode=info.mode & 0o7777,
                mtime=int(info.mtime),
                size=size,
                directory=info.isdir(),
                target=info.linkname if info.issym() else "",
            )
            for _ in self.data():
                pass
            self._take(self._padding)

    def data(self) -> Iterator[bytes | memoryview]:
        """The unread bytes of the current entry, where possible in the chunks they came in."""
        while self._left:
            if self._buffer:
                chunk = bytes(self._buffer[: self._left])
                del self._buffer[: len(chunk)]
            else:
                chunk = next(filter(None, self._chunks), b"")
                if not chunk:
                    raise EvidenceMissing("the server's copy ended in the middle of a file")
                if len(chunk) > self._left:
                    self._buffer += chunk[self._left :]
                    chunk = chunk[: self._left]
            self._left -= len(chunk)
            yield chunk

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            if not self._more():
                raise EvidenceMissing("the server's copy ended in the middle of an entry")
        block = bytes(self._buffer[:size])
        del self._buffer[:size]
        return block

    def _more(self) -> bool:
        for chunk in self._chunks:
            self._buffer += chunk
            if self._buffer:
                return True
        return False
