"""Compares the files that arrived with the manifest of the server that sent them."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, cast

import google_crc32c

from holdfast.domain.errors import EvidenceMissing

_UNLISTED = ("pg_wal/", "backup_label", "tablespace_map", "postgresql.auto.conf.tmp")
_MAX_NAMED = 5


_LITTLE_ENDIAN = ("x86_64", "aarch64")


class _Checksum(Protocol):
    def update(self, data: bytes | memoryview, /) -> object: ...

    def hexdigest(self) -> str: ...


# The library has no types of its own for this one.
_extend = cast("Callable[[int, bytes], int]", google_crc32c.extend)  # pyright: ignore[reportUnknownMemberType]


class _Crc32c:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes | memoryview) -> None:
        self._value = _extend(self._value, bytes(data))  # it takes nothing else

    def hexdigest(self) -> str:
        """In the byte order of little-endian servers, which write the number as it is in memory."""
        return self._value.to_bytes(4, "little").hex()


_CHECKSUMS: Mapping[str, Callable[[], _Checksum]] = {"CRC32C": _Crc32c, "SHA256": hashlib.sha256}


def algorithm(machine: str) -> str:
    """The checksum that a server on such a machine is asked to put into its manifest.

    CRC32C costs neither side anything, but a server writes it in its own byte order: other machines
    are asked for SHA256.
    """
    return "CRC32C" if machine in _LITTLE_ENDIAN else "SHA256"


class ReceivedFiles:
    """Size and checksum, in hex digits, of every file that was received."""

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        self.received: dict[str, tuple[int, str]] = {}
        self.bytes = 0

    @property
    def files(self) -> int:
        return len(self.received)

    def record(
        self, path: str, chunks: Iterator[bytes | memoryview]
    ) -> Iterator[bytes | memoryview]:
        """Passes on a file's chunks; records its size and checksum at the end."""
        checksum, size = _CHECKSUMS[self.algorithm](), 0
        for chunk in chunks:
            checksum.update(chunk)
            size += len(chunk)
            yield chunk
        self.received[path] = (size, checksum.hexdigest())
        self.bytes += size


class BackupManifest:
    """The server's `backup_manifest`; EvidenceMissing when it is not whole itself."""

    def __init__(self, body: bytes) -> None:
        head, mark, _ = body.rpartition(b'"Manifest-Checksum"')
        self._files: dict[str, Mapping[str, Any]] = {}
        try:
            manifest: Mapping[str, Any] = json.loads(body)
            for file in manifest["Files"]:
                if "Encoded-Path" in file:
                    path = bytes.fromhex(file["Encoded-Path"]).decode("utf-8", "surrogateescape")
                else:
                    path = str(file["Path"])
                self._files[path] = file
            self._ranges = manifest["WAL-Ranges"]
        except (ValueError, KeyError) as error:
            raise EvidenceMissing("the server's manifest cannot be read") from error
        if not mark or hashlib.sha256(head).hexdigest() != manifest["Manifest-Checksum"]:
            raise EvidenceMissing("the server's manifest is not whole")

    def require(self, arrived: ReceivedFiles, segment: int) -> None:
        """EvidenceMissing unless every file arrived as it was sent, no others, and all the WAL."""
        wrong: list[str] = []
        for path, file in self._files.items():
            sent = file["Size"], str(file.get("Checksum", "")).lower()
            same_algorithm = file.get("Checksum-Algorithm") == arrived.algorithm
            if not same_algorithm or arrived.received.get(path) != sent:
                wrong.append(path)
        unlisted = arrived.received.keys() - self._files.keys()
        wrong += [path for path in unlisted if not path.startswith(_UNLISTED)]
        wrong += [path for path in self._segments(segment) if path not in arrived.received]
        if wrong:
            named = ", ".join(sorted(wrong)[:_MAX_NAMED])
            raise EvidenceMissing(f"{len(wrong)} files are not as the server's manifest: {named}")

    def _segments(self, segment: int) -> Iterator[str]:
        for span in self._ranges:
            first = _position(span["Start-LSN"]) // segment
            last = (_position(span["End-LSN"]) - 1) // segment
            segments_per_id = 0x1_0000_0000 // segment
            for number in range(first, last + 1):
                high, low = divmod(number, segments_per_id)
                yield f"pg_wal/{span['Timeline']:08X}{high:08X}{low:08X}"


def _position(lsn: str) -> int:
    high, low = lsn.split("/")
    return (int(high, 16) << 32) + int(low, 16)
