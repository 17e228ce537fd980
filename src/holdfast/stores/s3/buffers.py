"""A part until it has arrived: in memory, or on disk where it is larger than memory allows.

A part that failed is sent again, so all of it is kept. On disk it has no name: what a process that
dies leaves is gone with it.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from holdfast.domain.errors import StoreRefused
from holdfast.stores.s3 import parts

_CHUNK = 1 << 20
_SPILL = 32 << 20
"""What is larger goes to disk, if it may at all: most objects of such a store are small."""
_SHARE = 3
"""One part is filled while another one is sent, and somebody else needs room as well."""


class Buffer:
    """`spool` is where it goes when it is no longer small; None: it stays in memory."""

    def __init__(self, spool: Path | None) -> None:
        self._spool = spool
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self.size = 0

    def __len__(self) -> int:
        return self.size

    def write(self, data: memoryview) -> None:
        if self._file is None and (self._spool is None or len(self._memory) + len(data) <= _SPILL):
            self._memory += data
        else:
            self._put_down(data)
        self.size += len(data)

    def _put_down(self, data: memoryview) -> None:
        try:
            if self._file is None and self._spool is not None:
                self._spool.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._file = tempfile.TemporaryFile(dir=self._spool)  # noqa: SIM115 - see `close`
                self._file.write(self._memory)
                self._memory = bytearray()
            cast("IO[bytes]", self._file).write(data)
        except OSError as error:
            problem = f"a part on its way cannot be kept in {self._spool}: {error.strerror}"
            raise StoreRefused(problem) from error

    @property
    def body(self) -> bytearray | IO[bytes]:
        """From its beginning, as the client sends it."""
        if self._file is None:
            return self._memory
        self._file.seek(0)
        return self._file

    def chunks(self) -> Iterator[bytes | bytearray]:
        if self._file is None:
            yield self._memory
            return
        self._file.seek(0)
        while chunk := self._file.read(_CHUNK):
            yield chunk

    def close(self) -> None:
        self._memory = bytearray()
        if self._file is not None:
            self._file.close()


class Room:
    """Says how large a part may be here, and where it is kept."""

    def __init__(self, spool: Path | None) -> None:
        self._spool = spool or _system_directory()

    def fitting(self, wanted: int) -> int:
        """As large as wanted, or what fits in memory where the disk has not the room for more."""
        if wanted <= parts.IN_MEMORY or self._free() // _SHARE >= wanted:
            return wanted
        return parts.IN_MEMORY

    def buffer(self, size: int) -> Buffer:
        return Buffer(self._spool if size > parts.IN_MEMORY else None)

    def _free(self) -> int:
        above = self._spool
        while not above.exists():
            above = above.parent
        return shutil.disk_usage(above).free


def _system_directory() -> Path:
    """The system's own for large temporary files; the usual one may be in memory."""
    large = Path("/var/tmp")  # noqa: S108 - the file there has no name
    return large if os.access(large, os.W_OK) else Path(tempfile.gettempdir())
