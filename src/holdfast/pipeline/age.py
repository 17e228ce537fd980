"""Seals packed bytes so that the stock programs `age` and `zstd` open them.

The sealing key is public: what was archived can be opened with the identity alone, which is sealed
in the catalogue and lies in every snapshot of the addon.
"""

from typing import Any

import pyrage  # pyright: ignore[reportMissingTypeStubs]
import zstandard

from holdfast.domain.errors import EvidenceMissing, SealBroken

_age: Any = pyrage
"""It has no types."""

LEVEL = 1
"""Logs of databases get smaller by level 1 than by level 3, for half of the work."""

_MAX_BYTES = 2 << 30
"""A piece has a segment, or 16 MiB and an event of at most 1 GiB."""

SUFFIX = ".zst.age"


def new_identity() -> tuple[str, str]:
    """An identity, which opens, and its recipient, which seals."""
    identity = _age.x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def seal(plain: bytes | memoryview, recipient: str) -> bytes:
    """`zstd -1`, then age."""
    packed = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(plain)
    return seal_plain(packed, recipient)


def seal_plain(plain: bytes, recipient: str) -> bytes:
    """age alone, for what is small."""
    try:
        return _age.encrypt(plain, [_age.x25519.Recipient.from_str(recipient)])
    except _age.RecipientError as error:
        raise SealBroken(f"the archive's recipient is unusable: {error}") from error


def unseal(sealed: bytes, identity: str, size: int) -> bytes:
    """The plain bytes, which must be `size`.

    SealBroken for another identity or damaged bytes, EvidenceMissing for other contents.
    """
    packed = unseal_plain(sealed, identity)
    try:
        plain = zstandard.ZstdDecompressor().decompress(packed, max_output_size=size)
    except zstandard.ZstdError as error:
        raise EvidenceMissing(f"a piece of the log does not unpack: {error}") from error
    if len(plain) != size:
        raise EvidenceMissing(f"a piece of the log has {len(plain)} bytes instead of {size}")
    return plain


def unseal_any(sealed: bytes, identity: str) -> bytes:
    """The plain bytes, of a length that nothing told. SealBroken or EvidenceMissing if damaged."""
    packed = unseal_plain(sealed, identity)
    try:
        if zstandard.frame_content_size(packed) > _MAX_BYTES:
            raise EvidenceMissing("a piece of the log would unpack to more than a piece has")
        return zstandard.ZstdDecompressor().decompress(packed, max_output_size=_MAX_BYTES)
    except zstandard.ZstdError as error:
        raise EvidenceMissing(f"a piece of the log does not unpack: {error}") from error


def recipient_of(identity: str) -> str:
    """Who seals for an identity. SealBroken if it is none."""
    try:
        return str(_age.x25519.Identity.from_str(identity.strip()).to_public())
    except _age.IdentityError as error:
        raise SealBroken(f"the archive's key is unusable: {error}") from error


def unseal_plain(sealed: bytes, identity: str) -> bytes:
    try:
        return _age.decrypt(sealed, [_age.x25519.Identity.from_str(identity)])
    except (_age.DecryptError, _age.IdentityError) as error:
        raise SealBroken(f"a piece of the log does not open: {error}") from error
