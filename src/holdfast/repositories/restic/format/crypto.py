"""Encrypts and authenticates as restic does: AES-256-CTR with Poly1305-AES.

A ciphertext is `iv(16) | AES-CTR(plaintext) | mac(16)`; the mac covers the ciphertext without the
iv, under the one-time key `r | AES(k, iv)`.
"""

import base64
import secrets
import threading
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305

from holdfast.domain.errors import SealBroken

IV = MAC = 16
OVERHEAD = IV + MAC

_CLAMP = bytes.fromhex("ffffff0f" + "fcffff0f" * 3)
"""The bits of `r` that Poly1305 wants cleared."""


@dataclass(frozen=True)
class Key:
    """The key of a repository, or one derived from a password; never shown."""

    encrypt: bytes = field(repr=False)
    mac_k: bytes = field(repr=False)
    mac_r: bytes = field(repr=False)
    _own: threading.local = field(
        default_factory=threading.local, init=False, repr=False, compare=False
    )

    def seal(self, plain: bytes | memoryview) -> bytes:
        iv = secrets.token_bytes(IV)
        worker = Cipher(algorithms.AES(self.encrypt), modes.CTR(iv)).encryptor()
        body = worker.update(plain) + worker.finalize()
        return b"".join((iv, body, Poly1305.generate_tag(self._once(iv), body)))

    def open(self, sealed: bytes | memoryview) -> bytes:
        """Decrypts. Raises SealBroken for bytes changed, cut or sealed with another key."""
        view = memoryview(sealed)
        iv, body, mac = bytes(view[:IV]), view[IV:-MAC], bytes(view[-MAC:])
        if len(view) < OVERHEAD:
            raise SealBroken("a sealed object of the repository is too short")
        try:
            Poly1305.verify_tag(self._once(iv), body, mac)
        except InvalidSignature as error:
            raise SealBroken("an object of the repository is not what was written") from error
        # Each thread keeps its ciphers: making one takes longer than a small blob's decryption.
        if not hasattr(self._own, "decryptor"):
            self._own.decryptor = Cipher(algorithms.AES(self.encrypt), modes.CTR(iv)).decryptor()
        decryptor: CipherContext = self._own.decryptor
        decryptor.reset_nonce(iv)
        return decryptor.update(body)

    def _once(self, iv: bytes) -> bytes:
        """Returns the one-time key of Poly1305."""
        if not hasattr(self._own, "aes"):
            cipher = Cipher(algorithms.AES(self.mac_k), modes.ECB())  # noqa: S305 - one block, as Poly1305-AES is defined
            self._own.aes = cipher.encryptor()
        block: bytes = self._own.aes.update(iv)
        return self.mac_r + block

    def document(self) -> dict[str, object]:
        """Returns the key as restic keeps it inside a key file."""
        return {
            "mac": {"k": _text(self.mac_k), "r": _text(self.mac_r)},
            "encrypt": _text(self.encrypt),
        }


def make(encrypt: bytes, mac_k: bytes, mac_r: bytes) -> Key:
    return Key(encrypt, mac_k, bytes(a & b for a, b in zip(mac_r, _CLAMP, strict=True)))


def new_key() -> Key:
    return split(secrets.token_bytes(64))


def split(material: bytes) -> Key:
    """Makes a key of 64 bytes of key material, as scrypt returns them."""
    return make(material[:32], material[32:48], material[48:64])


def parse(document: dict[str, Any]) -> Key:
    mac = document["mac"]
    return make(_bytes(document["encrypt"]), _bytes(mac["k"]), _bytes(mac["r"]))


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(text: object) -> bytes:
    return base64.b64decode(str(text))
