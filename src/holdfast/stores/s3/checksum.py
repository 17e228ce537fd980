"""Computes the checksum sent with a part, for services that verify one."""

import base64
import hashlib
import zlib
from collections.abc import Iterable, Mapping

_FIELDS = {"md5": "ContentMD5", "crc32": "ChecksumCRC32", "sha256": "ChecksumSHA256"}


def of_part(mode: str, data: Iterable[bytes | bytearray]) -> dict[str, str]:
    """Returns the request fields that go with `data`, which comes in chunks."""
    if mode == "none":
        return {}
    if mode == "crc32":
        checksum = 0
        for chunk in data:
            checksum = zlib.crc32(chunk, checksum)
        digest = checksum.to_bytes(4, "big")
    else:
        hasher = hashlib.new(mode, usedforsecurity=False)
        for chunk in data:
            hasher.update(chunk)
        digest = hasher.digest()
    return {_FIELDS[mode]: base64.b64encode(digest).decode()}


def of_upload(mode: str) -> dict[str, str]:
    """Returns request fields that announce a multipart upload whose parts have checksums."""
    return {"ChecksumAlgorithm": mode.upper()} if mode in ("crc32", "sha256") else {}


def to_repeat(sent: Mapping[str, str]) -> dict[str, str]:
    """Returns those of a part's fields that the completion must name again."""
    return {field: value for field, value in sent.items() if field != "ContentMD5"}
