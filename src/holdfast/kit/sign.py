"""Signs links that carry their own permission, manifests that this installation wrote, and reports
for others, who verify them with a public key."""

import hashlib
import hmac
from typing import Self, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from holdfast.kit.seal import Secret

Buffer: TypeAlias = bytes | memoryview


class Signer:
    """HMAC-SHA256 with a key derived from the installation's, for one purpose."""

    def __init__(self, master: bytes, purpose: str) -> None:
        self._key = hmac.digest(master, purpose.encode(), "sha256")

    def sign(self, subject: str, expires: int) -> str:
        """`expires` in ms since 1970."""
        message = f"{subject}|{expires}".encode()
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()

    def valid(self, subject: str, expires: int, signature: str, now: int) -> bool:
        return now < expires and hmac.compare_digest(
            self.sign(subject, expires).encode(), signature.encode()
        )


class Stamp:
    """Marks bytes that this installation wrote, so that a new catalogue can recognise them."""

    def __init__(self, master: bytes, purpose: str) -> None:
        self._key = hmac.digest(master, f"stamp of {purpose}".encode(), "sha256")

    def of(self, body: bytes) -> str:
        """The stamp of `body`: hex HMAC-SHA256."""
        return hmac.new(self._key, body, hashlib.sha256).hexdigest()

    def is_on(self, body: bytes, stamp: str) -> bool:
        """Whether `stamp` was made here, of these bytes."""
        return hmac.compare_digest(self.of(body).encode(), stamp.encode())


class PublicKey:
    """An Ed25519 key that verifies what its private half signed."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key

    @classmethod
    def from_pem(cls, pem: str) -> Self:
        """Raises ValueError for a text that is no public Ed25519 key."""
        key = load_pem_public_key(pem.encode())
        if not isinstance(key, Ed25519PublicKey):
            raise ValueError("it is a key of another algorithm than Ed25519")
        return cls(key)

    @property
    def pem(self) -> str:
        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def fingerprint(self) -> str:
        """Hex sha256 of the key in DER, as `openssl pkey -pubin -outform DER | sha256sum` says."""
        der = self._key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(der).hexdigest()

    def verifies(self, signature: bytes, body: Buffer) -> bool:
        try:
            self._key.verify(signature, body)
        except InvalidSignature:
            return False
        return True


class PrivateKey:
    """An Ed25519 key that signs."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def new(cls) -> Self:
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, pem: Secret) -> Self:
        """Raises ValueError for a text that is no private Ed25519 key."""
        key = load_pem_private_key(pem.reveal().encode(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("it is a key of another algorithm than Ed25519")
        return cls(key)

    @property
    def pem(self) -> Secret:
        text = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return Secret(text.decode())

    @property
    def public(self) -> PublicKey:
        return PublicKey(self._key.public_key())

    def sign(self, body: Buffer) -> bytes:
        """64 bytes. `body` may be the view of a mapped file, however large."""
        return self._key.sign(body)
