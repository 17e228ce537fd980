"""What arrived, against what the server says it sent."""

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
        """As little-endian servers write it: the number's bytes as they are in memory."""
        return self._value.to_bytes(4, "little").hex()


_CHECKSUMS: Mapping[str, Callable[[], _Checksum]] = {"CRC32C": _Crc32c, "SHA256": hashlib.sha256}


def algorithm(machine: str) -> str:
    """What a server on such a machine is asked to put into its manifest.

    CRC32C costs neither side anything, but a server writes it in its own byte order: SHA256 is
    what the others are asked for.
    """
    return "CRC32C" if machine in _LITTLE_ENDIAN else "SHA256"


class ReceivedFiles:
    """Size and checksum, in hex digits, of every file that passed."""

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        self.seen: dict[str, tuple[int, str]] = {}
        self.bytes = 0

    @property
    def files(self) -> int:
        return len(self.seen)

    def passing(
        self, path: str, chunks: Iterator[bytes | memoryview]
    ) -> Iterator[bytes | memoryview]:
        checksum, size = _CHECKSUMS[self.algorithm](), 0
        for chunk in chunks:
            checksum.update(chunk)
            size += len(chunk)
            yield chunk
        self.seen[path] = (size, checksum.hexdigest())
        self.bytes += size


class BackupManifest:
    """The server's `backup_manifest`; EvidenceMissing when it is not whole itself."""

    def __init__(self, body: bytes) -> None:
        head, mark, _ = body.rpartition(b'"Manifest-Checksum"')
        try:
            manifest: Mapping[str, Any] = json.loads(body)
            files = {_path(file): file for file in manifest["Files"]}
            ranges = manifest["WAL-Ranges"]
        except (ValueError, KeyError) as error:
            raise EvidenceMissing("the server's manifest cannot be read") from error
        if not mark or hashlib.sha256(head).hexdigest() != manifest["Manifest-Checksum"]:
            raise EvidenceMissing("the server's manifest is not whole")
        self._files = files
        self._ranges = ranges

    def require(self, arrived: ReceivedFiles, segment: int) -> None:
        """Every file as it was sent, none more, and all the WAL there has to be."""
        wrong = [path for path, file in self._files.items() if not _same(file, arrived, path)]
        wrong += [path for path in arrived.seen if path not in self._files and not _unlisted(path)]
        wrong += [path for path in self._segments(segment) if path not in arrived.seen]
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


def _path(file: Mapping[str, Any]) -> str:
    if "Encoded-Path" in file:
        return bytes.fromhex(file["Encoded-Path"]).decode("utf-8", "surrogateescape")
    return str(file["Path"])


def _same(file: Mapping[str, Any], arrived: ReceivedFiles, path: str) -> bool:
    sent = file["Size"], str(file.get("Checksum", "")).lower()
    same_kind = file.get("Checksum-Algorithm") == arrived.algorithm
    return same_kind and arrived.seen.get(path) == sent


def _unlisted(path: str) -> bool:
    return path.startswith(_UNLISTED)


def _position(lsn: str) -> int:
    high, low = lsn.split("/")
    return (int(high, 16) << 32) + int(low, 16)
