"""Reads the stream that mariadb-backup writes: chunks of files, each with its checksum.

Files follow each other, but the server's log is copied all the while: its chunks lie between those
of other files. They are spooled until the file between whose chunks they lie has ended.
"""

import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from holdfast.domain.errors import EvidenceMissing

_MAGIC = b"XBSTCK01"
_PAYLOAD, _END = b"P", b"E"
_MAX_NAME_BYTES = 4096
_SPOOL_MEMORY_BYTES = 8 << 20
_PIECE_BYTES = 1 << 20
_LOG_NAME = "ib_logfile"

Read = Callable[[int], bytes]
"""Reads up to so many bytes; empty at the end."""


@dataclass
class _Spooled:
    """A file whose chunks came between those of another file."""

    file: IO[bytes]
    ended: bool = False


class MbStream:
    """Splits the stream; read each file of `files_in` to its end before the next."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._spooled: dict[str, _Spooled] = {}
        self._sizes: dict[str, int] = {}
        self.files = 0
        self.bytes = 0

    def files_in(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Yields path and bytes of each file. EvidenceMissing for a damaged or cut stream."""
        while (chunk := self._chunk()) is not None:
            path, data = chunk
            if path.rpartition("/")[2].startswith(_LOG_NAME) or path in self._spooled:
                self._spool(path, data)
            else:
                self.files += 1
                yield path, iter(()) if data is None else self._rest_of(path, data)
            for ended in [path for path, spooled in self._spooled.items() if spooled.ended]:
                with self._spooled.pop(ended).file as file:
                    file.seek(0)
                    self.files += 1
                    yield ended, iter(lambda file=file: file.read(_PIECE_BYTES), b"")
        if self._spooled:
            raise EvidenceMissing(f"the copy ends inside {', '.join(sorted(self._spooled))}")

    def _rest_of(self, path: str, first: bytes) -> Iterator[bytes]:
        yield first
        while True:
            chunk = self._chunk()
            if chunk is None:
                raise EvidenceMissing(f"the copy ends inside {path}")
            other, data = chunk
            if other != path:
                self._spool(other, data)
            elif data is None:
                return
            else:
                yield data

    def _spool(self, path: str, data: bytes | None) -> None:
        if path not in self._spooled:
            spool = tempfile.SpooledTemporaryFile(_SPOOL_MEMORY_BYTES)  # noqa: SIM115 - open until read
            self._spooled[path] = _Spooled(spool)
        spooled = self._spooled[path]
        if data is None:
            spooled.ended = True
        else:
            spooled.file.write(data)

    def _chunk(self) -> tuple[str, bytes | None] | None:
        """Path and bytes of a chunk; None for the bytes at a file's end, None at the stream's."""
        head = self._read_exactly(14, may_end=True)
        if not head:
            return None
        if head[:8] != _MAGIC:
            raise EvidenceMissing("the copy holds something that is no chunk of a file")
        kind, (length,) = head[9:10], struct.unpack("<I", head[10:14])
        if length > _MAX_NAME_BYTES or kind not in (_PAYLOAD, _END):
            raise EvidenceMissing(f"the copy holds a chunk of an unknown kind {kind!r}")
        path = self._read_exactly(length).decode("utf-8", "surrogateescape").removeprefix("./")
        if path.startswith("/") or ".." in path.split("/"):
            raise EvidenceMissing(f"the copy holds a file outside of it: {path!r}")
        if kind == _END:
            return path, None
        length, offset, checksum = struct.unpack("<QQI", self._read_exactly(20))
        if offset != self._sizes.get(path, 0):
            raise EvidenceMissing(f"{path} has a gap at {offset}")
        data = self._read_exactly(length)
        if zlib.crc32(data) != checksum:
            raise EvidenceMissing(f"{path} was damaged on the way, at {offset}")
        self._sizes[path] = offset + length
        self.bytes += length
        return path, data

    def _read_exactly(self, size: int, *, may_end: bool = False) -> bytes:
        parts: list[bytes] = []
        left = size
        while left:
            data = self._read(left)
            if not data:
                if may_end and left == size:
                    return b""
                raise EvidenceMissing("the copy was cut off")
            parts.append(data)
            left -= len(data)
        return b"".join(parts)
