"""What arrived, against what the server says it sent."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from holdfast.domain.errors import EvidenceMissing

_UNLISTED = ("pg_wal/", "backup_label", "tablespace_map", "postgresql.auto.conf.tmp")
_NAMED = 5


class Arrived:
    """Size and sha256 of every file that passed."""

    def __init__(self) -> None:
        self.seen: dict[str, tuple[int, str]] = {}
        self.bytes = 0

    @property
    def files(self) -> int:
        return len(self.seen)

    def passing(self, path: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
        digest, size = hashlib.sha256(), 0
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            yield chunk
        self.seen[path] = (size, digest.hexdigest())
        self.bytes += size


class BackupManifest:
    """The server's `backup_manifest`; EvidenceMissing when it is not whole itself."""

    def __init__(self, body: bytes) -> None:
        head, mark, _ = body.rpartition(b'"Manifest-Checksum"')
        try:
            found: Mapping[str, Any] = json.loads(body)
            files = {_path(file): file for file in found["Files"]}
            ranges = found["WAL-Ranges"]
        except (ValueError, KeyError) as error:
            raise EvidenceMissing("the server's manifest cannot be read") from error
        if not mark or hashlib.sha256(head).hexdigest() != found["Manifest-Checksum"]:
            raise EvidenceMissing("the server's manifest is not whole")
        self._files = files
        self._ranges = ranges

    def require(self, arrived: Arrived, segment: int) -> None:
        """Every file as it was sent, none more, and all the WAL there has to be."""
        wrong = [path for path, file in self._files.items() if not _same(file, arrived, path)]
        wrong += [path for path in arrived.seen if path not in self._files and not _unlisted(path)]
        wrong += [path for path in self._segments(segment) if path not in arrived.seen]
        if wrong:
            named = ", ".join(sorted(wrong)[:_NAMED])
            raise EvidenceMissing(f"{len(wrong)} files are not as the server's manifest: {named}")

    def _segments(self, segment: int) -> Iterator[str]:
        for span in self._ranges:
            first = _position(span["Start-LSN"]) // segment
            last = (_position(span["End-LSN"]) - 1) // segment
            each = 0x1_0000_0000 // segment
            for number in range(first, last + 1):
                yield f"pg_wal/{span['Timeline']:08X}{number // each:08X}{number % each:08X}"


def _path(file: Mapping[str, Any]) -> str:
    if "Encoded-Path" in file:
        return bytes.fromhex(file["Encoded-Path"]).decode("utf-8", "surrogateescape")
    return str(file["Path"])


def _same(file: Mapping[str, Any], arrived: Arrived, path: str) -> bool:
    checksum = file.get("Checksum", "")
    return arrived.seen.get(path) == (file["Size"], checksum.lower())


def _unlisted(path: str) -> bool:
    return path.startswith(_UNLISTED)


def _position(lsn: str) -> int:
    high, low = lsn.split("/")
    return (int(high, 16) << 32) + int(low, 16)
