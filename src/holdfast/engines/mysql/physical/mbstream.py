"""Reads the stream that mariadb-backup writes: chunks of files, each with its checksum.

Files follow each other, but the log of the server is copied all the while: its chunks lie between
those of the others. They are put aside until the file they lie in has ended.
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
_NAME_LIMIT = 4096
_IN_MEMORY = 8 << 20
_PIECE = 1 << 20
_LOG = "ib_logfile"

Read = Callable[[int], bytes]
"""Up to so many bytes; empty at the end."""


@dataclass
class _Aside:
    """A file whose chunks came while another one was read."""

    file: IO[bytes]
    ended: bool = False


class MbStream:
    """`files` has to be read in order, each file's bytes before the next file."""

    def __init__(self, read: Read) -> None:
        self._read_some = read
        self._aside: dict[str, _Aside] = {}
        self._sizes: dict[str, int] = {}
        self.files = 0
        self.bytes = 0

    def files_in(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Path and bytes of each. EvidenceMissing for a stream that is damaged or cut off."""
        while (chunk := self._chunk()) is not None:
            path, data = chunk
            if path.rpartition("/")[2].startswith(_LOG) or path in self._aside:
                self._put_aside(path, data)
            elif data is None:
                yield self._begin(path, None)
            else:
                yield self._begin(path, data)
            yield from self._ended()
        if self._aside:
            raise EvidenceMissing(f"the copy ends inside {', '.join(sorted(self._aside))}")

    def _begin(self, path: str, first: bytes | None) -> tuple[str, Iterator[bytes]]:
        self.files += 1
        return path, iter(()) if first is None else self._rest_of(path, first)

    def _rest_of(self, path: str, first: bytes) -> Iterator[bytes]:
        yield first
        while True:
            chunk = self._chunk()
            if chunk is None:
                raise EvidenceMissing(f"the copy ends inside {path}")
            other, data = chunk
            if other != path:
                self._put_aside(other, data)
            elif data is None:
                return
            else:
                yield data

    def _put_aside(self, path: str, data: bytes | None) -> None:
        if path not in self._aside:
            spool = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - open until read
            self._aside[path] = _Aside(spool)
        aside = self._aside[path]
        if data is None:
            aside.ended = True
        else:
            aside.file.write(data)

    def _ended(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        for path in [path for path, aside in self._aside.items() if aside.ended]:
            with self._aside.pop(path).file as file:
                file.seek(0)
                self.files += 1
                yield path, iter(lambda file=file: file.read(_PIECE), b"")

    def _chunk(self) -> tuple[str, bytes | None] | None:
        """Path and bytes, None at the end of a file; None at the end of everything."""
        head = self._take(14, may_end=True)
        if not head:
            return None
        if head[:8] != _MAGIC:
            raise EvidenceMissing("the copy holds something that is no chunk of a file")
        kind, (length,) = head[9:10], struct.unpack("<I", head[10:14])
        if length > _NAME_LIMIT or kind not in (_PAYLOAD, _END):
            raise EvidenceMissing(f"the copy holds a chunk of an unknown kind {kind!r}")
        path = self._take(length).decode("utf-8", "surrogateescape").removeprefix("./")
        if path.startswith("/") or ".." in path.split("/"):
            raise EvidenceMissing(f"the copy holds a file outside of it: {path!r}")
        return path, None if kind == _END else self._payload(path)

    def _payload(self, path: str) -> bytes:
        length, offset, checksum = struct.unpack("<QQI", self._take(20))
        if offset != self._sizes.get(path, 0):
            raise EvidenceMissing(f"{path} has a gap at {offset}")
        data = self._take(length)
        if zlib.crc32(data) != checksum:
            raise EvidenceMissing(f"{path} was damaged on the way, at {offset}")
        self._sizes[path] = offset + length
        self.bytes += length
        return data

    def _take(self, size: int, *, may_end: bool = False) -> bytes:
        parts: list[bytes] = []
        left = size
        while left:
            data = self._read_some(left)
            if not data:
                if may_end and left == size:
                    return b""
                raise EvidenceMissing("the copy was cut off")
            parts.append(data)
            left -= len(data)
        return b"".join(parts)
