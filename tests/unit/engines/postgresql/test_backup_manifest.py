"""What arrived against the server's manifest: whatever is not as it was sent is named."""

import hashlib
import json
from collections.abc import Iterable, Mapping

import pytest

from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.postgresql.physical.backup_manifest import (
    BackupManifest,
    ReceivedFiles,
    algorithm,
)

_SEGMENT = 16 << 20
_RELATION, _WAL = "base/1/1259", "pg_wal/000000010000000000000002"
_SUMS = {"CRC32C": "839206e3", "SHA256": hashlib.sha256(b"123456789").hexdigest()}
"""Of `123456789`: the check value that the catalogue of CRCs gives for CRC-32C is e3069283."""


def _manifest(kind: str, **changed: object) -> bytes:
    file = {"Path": _RELATION, "Size": 9, "Checksum-Algorithm": kind, "Checksum": _SUMS[kind]}
    body = json.dumps(
        {
            "PostgreSQL-Backup-Manifest-Version": 1,
            "Files": [file | changed],
            "WAL-Ranges": [{"Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/3000000"}],
        }
    )
    head = f"{body[:-1]},\n".encode()
    return head + f'"Manifest-Checksum": "{hashlib.sha256(head).hexdigest()}"}}\n'.encode()


def _arrived(kind: str, files: Mapping[str, Iterable[bytes]]) -> ReceivedFiles:
    arrived = ReceivedFiles(kind)
    for path, chunks in files.items():
        assert b"".join(arrived.record(path, iter(chunks))) == b"".join(chunks)
    return arrived


@pytest.mark.parametrize("kind", _SUMS)
def test_files_that_came_as_they_were_sent_pass(kind: str) -> None:
    arrived = _arrived(kind, {_RELATION: [b"1234", b"56789"], _WAL: [b"w"], "backup_label": []})
    BackupManifest(_manifest(kind)).require(arrived, _SEGMENT)
    assert (arrived.files, arrived.bytes) == (3, 10)


@pytest.mark.parametrize("kind", _SUMS)
@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({_RELATION: [b"123456788"], _WAL: []}, _RELATION),  # changed
        ({_RELATION: [b"12345678"], _WAL: []}, _RELATION),  # cut
        ({_WAL: []}, _RELATION),  # missing
        ({_RELATION: [b"123456789"]}, _WAL),  # without its WAL
        ({_RELATION: [b"123456789"], _WAL: [], "base/1/9": []}, "base/1/9"),  # one too many
    ],
)
def test_what_is_not_as_it_was_sent_is_named(
    kind: str, files: dict[str, list[bytes]], named: str
) -> None:
    with pytest.raises(EvidenceMissing, match=f"^1 files are .*: {named}$"):
        BackupManifest(_manifest(kind)).require(_arrived(kind, files), _SEGMENT)


def test_a_checksum_of_another_kind_proves_nothing() -> None:
    arrived = _arrived("CRC32C", {_RELATION: [b"123456789"], _WAL: []})
    other = _manifest("CRC32C", **{"Checksum-Algorithm": "CRC32"})
    with pytest.raises(EvidenceMissing, match=_RELATION):
        BackupManifest(other).require(arrived, _SEGMENT)


@pytest.mark.parametrize(
    "broken", [b"", b"{}", b"[", _manifest("SHA256").replace(b"1259", b"1260")]
)
def test_a_manifest_that_is_not_whole_proves_nothing(broken: bytes) -> None:
    with pytest.raises(EvidenceMissing, match="manifest"):
        BackupManifest(broken)


def test_servers_of_another_byte_order_are_asked_for_sha256() -> None:
    kinds = [algorithm(machine) for machine in ("x86_64", "aarch64", "s390x", "")]
    assert kinds == ["CRC32C", "CRC32C", "SHA256", "SHA256"]
