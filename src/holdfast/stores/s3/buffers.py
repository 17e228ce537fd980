"""Buffers a part until the service has it: in memory, or on disk when memory is too small.

A failed part is sent again, so all of it is kept. Files on disk have no names, so they vanish with
the process.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from holdfast.domain.errors import StoreRefused
from holdfast.stores.s3 import parts

_CHUNK_BYTES = 1 << 20
_SPILL_BYTES = 32 << 20
"""Larger parts go to disk where that is allowed: most objects of such a store are small."""
_DISK_SHARE = 3
"""One part is filled while another is sent, and other programs need the disk as well."""


class Buffer:
    """Bytes of one part. It moves to `spool` when it is no longer small; None: stays in memory."""

    def __init__(self, spool: Path | None) -> None:
        self._spool = spool
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self.size = 0

    def __len__(self) -> int:
        return self.size

    def write(self, data: memoryview) -> None:
        self.size += len(data)
        if self._file is None and (self._spool is None or self.size <= _SPILL_BYTES):
            self._memory += data
            return
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
        """Returns the part for a request, from its beginning."""
        if self._file is None:
            return self._memory
        self._file.seek(0)
        return self._file

    def chunks(self) -> Iterator[bytes | bytearray]:
        if self._file is None:
            yield self._memory
            return
        self._file.seek(0)
        while chunk := self._file.read(_CHUNK_BYTES):
            yield chunk

    def close(self) -> None:
        self._memory = bytearray()
        if self._file is not None:
            self._file.close()


class PartSpace:
    """Decides how large a part may be on this machine, and whether it is kept on disk."""

    def __init__(self, spool: Path | None) -> None:
        large = Path("/var/tmp")  # noqa: S108 - the file there has no name
        # The usual directory may be in memory.
        usual = large if os.access(large, os.W_OK) else Path(tempfile.gettempdir())
        self._spool = spool or usual

    def fitting(self, size: int) -> int:
        """Returns `size`, or what fits in memory when the disk is too full for it."""
        if size <= parts.IN_MEMORY_BYTES:
            return size
        existing = self._spool
        while not existing.exists():
            existing = existing.parent
        free = shutil.disk_usage(existing).free
        return size if free // _DISK_SHARE >= size else parts.IN_MEMORY_BYTES

    def buffer(self, size: int) -> Buffer:
        return Buffer(self._spool if size > parts.IN_MEMORY_BYTES else None)
