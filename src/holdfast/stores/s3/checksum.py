"""The checksum sent with a part, for services that verify one."""

import base64
import hashlib
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

Data = Iterable[bytes | bytearray]


def _md5(data: Data) -> bytes:
    return _hashed(hashlib.md5(usedforsecurity=False), data)


def _crc32(data: Data) -> bytes:
    found = 0
    for chunk in data:
        found = zlib.crc32(chunk, found)
    return found.to_bytes(4, "big")


def _sha256(data: Data) -> bytes:
    return _hashed(hashlib.sha256(), data)


class _Hash(Protocol):
    def update(self, data: bytes | bytearray, /) -> None: ...
    def digest(self) -> bytes: ...


def _hashed(digest: _Hash, data: Data) -> bytes:
    for chunk in data:
        digest.update(chunk)
    return digest.digest()


_MODES: Mapping[str, tuple[str, Callable[[Data], bytes]]] = {
    "md5": ("ContentMD5", _md5),
    "crc32": ("ChecksumCRC32", _crc32),
    "sha256": ("ChecksumSHA256", _sha256),
}


def of_part(mode: str, data: Data) -> dict[str, str]:
    """Request fields that go with `data`, which comes in chunks."""
    if mode == "none":
        return {}
    field, digest = _MODES[mode]
    return {field: base64.b64encode(digest(data)).decode()}


def of_upload(mode: str) -> dict[str, str]:
    """Request fields that announce a multipart upload whose parts have checksums."""
    return {"ChecksumAlgorithm": mode.upper()} if mode in ("crc32", "sha256") else {}


def to_repeat(sent: Mapping[str, str]) -> dict[str, str]:
    """Of a part's fields, those the completion must name again."""
    return {field: value for field, value in sent.items() if field != "ContentMD5"}
