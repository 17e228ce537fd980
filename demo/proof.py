"""Looks at the stored files without Holdfast: are they what the evidence of the backup says?

Everything is read again from disk and hashed here; the plain bytes are made by the zstd library,
as `zstd -d` would make them.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import zstandard

from holdfast.client.models.models import Backup, Document

_CHUNK = 1 << 20


@dataclass(frozen=True)
class StoredObject:
    """One file of the store. `proven` when it is exactly what the evidence claims."""

    name: str
    plain_bytes: int
    stored_bytes: int
    sha256: str
    proven: bool


@dataclass(frozen=True)
class Proof:
    """The objects of one backup, and how many checks Holdfast itself recorded as passed."""

    objects: list[StoredObject]
    checks_passed: int
    checks: int

    @property
    def holds(self) -> bool:
        return self.checks_passed == self.checks > 0 and all(o.proven for o in self.objects)

    @property
    def plain_bytes(self) -> int:
        return sum(each.plain_bytes for each in self.objects)

    @property
    def stored_bytes(self) -> int:
        return sum(each.stored_bytes for each in self.objects)


def prove(store: Path, backup: Backup, evidence: Document) -> Proof:
    """`store` is the directory of the platform's local store."""
    claimed: dict[str, Any] = evidence.document()
    (manifest,) = store.glob(f"dumps/*/*/{backup.uid}/*/manifest.json")
    objects = [_object(manifest.parent, member) for member in claimed["members"]]
    checks = cast("list[Mapping[str, object]]", claimed["checks"])
    passed = sum(bool(check["passed"]) for check in checks)
    return Proof([*objects, _manifest(manifest, claimed)], passed, len(checks))


def _object(directory: Path, member: Mapping[str, Any]) -> StoredObject:
    path = directory / member["key"]
    with path.open("rb") as stored:
        stored_bytes, stored_sha256 = _digest(stored)
    with path.open("rb") as stored:
        plain = zstandard.ZstdDecompressor().stream_reader(stored, read_across_frames=True)
        plain_bytes, plain_sha256 = _digest(cast("IO[bytes]", plain))
    found = (stored_bytes, stored_sha256, plain_bytes, plain_sha256)
    claims = ("storedBytes", "storedSha256", "plainBytes", "plainSha256")
    proven = found == tuple(member[claim] for claim in claims)
    return StoredObject(member["key"], plain_bytes, stored_bytes, stored_sha256, proven)


def _manifest(path: Path, claimed: Mapping[str, Any]) -> StoredObject:
    body = path.read_bytes()
    sha256 = hashlib.sha256(body).hexdigest()
    keys = [member["key"] for member in json.loads(body)["members"]]
    proven = sha256 == claimed["manifestSha256"] and keys == [m["key"] for m in claimed["members"]]
    return StoredObject(path.name, len(body), len(body), sha256, proven)


def _digest(file: IO[bytes]) -> tuple[int, str]:
    count, digest = 0, hashlib.sha256()
    while chunk := file.read(_CHUNK):
        count += len(chunk)
        digest.update(chunk)
    return count, digest.hexdigest()
