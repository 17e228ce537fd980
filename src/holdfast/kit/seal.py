"""Secrets: a value that does not print itself, and the seal that keeps it at rest.

AES-256-GCM with a random 96-bit nonce per value. The context (what the secret belongs to) is
authenticated with it, so a sealed value moved to another row does not open.
"""

import base64
import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from holdfast.domain.errors import SealBroken

_VERSION = "v1"


class Secret:
    """A string that shows itself only to `reveal()`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(********)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and secrets.compare_digest(
            self._value.encode(), other._value.encode()
        )

    def __hash__(self) -> int:
        return hash(self._value)


def new_key() -> bytes:
    return AESGCM.generate_key(256)


class Sealer:
    """Seals and opens strings with one 32-byte key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._key = key

    def seal(self, secret: Secret, context: str) -> str:
        nonce = secrets.token_bytes(12)
        box = self._cipher.encrypt(nonce, secret.reveal().encode(), context.encode())
        return f"{_VERSION}:{base64.urlsafe_b64encode(nonce + box).decode()}"

    def derive(self, context: str) -> Secret:
        """A password that is stored nowhere: the same for the same key and context."""
        return Secret(hmac.new(self._key, f"derived: {context}".encode(), "sha256").hexdigest())

    def open(self, sealed: str, context: str) -> Secret:
        """Raises SealBroken for another key, another context or a damaged value."""
        version, _, body = sealed.partition(":")
        try:
            if version != _VERSION:
                raise ValueError(version)
            raw = base64.urlsafe_b64decode(body)
            return Secret(self._cipher.decrypt(raw[:12], raw[12:], context.encode()).decode())
        except (ValueError, InvalidTag) as error:
            raise SealBroken(f"the sealed value of {context} could not be opened") from error
