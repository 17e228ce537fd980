"""Compression as stages: ordinary gzip and zstd streams that stock tools open.

gz is made by ISA-L: level 1 compresses about ten times faster than zlib's default at nearly its
ratio, and `gunzip` cannot tell the difference. zstd runs its own worker threads, so the pumping
thread goes on reading while they compress. Both spend their time in C without the GIL.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import zstandard
from isal import isal_zlib

from holdfast.contracts.stage import Stage

GZ = "gz"
ZSTD = "zstd"
SUFFIXES: Mapping[str, str] = {GZ: ".gz", ZSTD: ".zst"}
_GZIP_FORMAT = 16 + isal_zlib.MAX_WBITS
_JOB_BYTES = 4 << 20
_MIN_MATCH = 6
_CHAIN_LOG = 15
_isal: Any = isal_zlib
_zstd_parameters: Any = zstandard.ZstdCompressionParameters.from_level  # type: ignore
"""Their stubs leave the arguments untyped; `_Packer` says what we use."""


class _Packer(Protocol):
    def compress(self, data: bytes | memoryview, /) -> bytes: ...
    def flush(self) -> bytes: ...


class Gzip:
    """One gzip member."""

    def __init__(self, level: int = 1) -> None:
        self._level = level
        self._object: _Packer = _isal.compressobj(level=level, wbits=_GZIP_FORMAT)

    def feed(self, data: bytes | memoryview) -> bytes:
        return self._object.compress(data)

    def finish(self) -> bytes:
        return self._object.flush()

    def fact(self) -> Mapping[str, object]:
        return {"compression": GZ, "level": self._level}


class Zstd:
    """One zstd frame with a checksum.

    Memory is bounded by the jobs of the worker threads: 4 MiB each, half of what level 3 would
    choose, cost no speed and no ratio, and hold about 50 MB in all with two threads. Matches of
    six bytes and more, in a smaller table, are a tenth less work than level 3 for sizes within
    one percent: the database that is being dumped needs the same processors.
    """

    def __init__(self, level: int = 3, threads: int = 2) -> None:
        self._level = level
        parameters = _zstd_parameters(
            level,
            threads=threads,
            job_size=_JOB_BYTES,
            min_match=_MIN_MATCH,
            chain_log=_CHAIN_LOG,
            write_checksum=True,
            write_content_size=False,
        )
        compressor = zstandard.ZstdCompressor(compression_params=parameters)
        self._object = compressor.compressobj()

    def feed(self, data: bytes | memoryview) -> bytes:
        return self._object.compress(data)

    def finish(self) -> bytes:
        return self._object.flush()

    def fact(self) -> Mapping[str, object]:
        return {"compression": ZSTD, "level": self._level}


def compressor(compression: str) -> Stage:
    """A fresh stage for `gz` or `zstd`; KeyError for anything else."""
    return _STAGES[compression]()


_STAGES: Mapping[str, type[Gzip] | type[Zstd]] = {GZ: Gzip, ZSTD: Zstd}
