"""Signed, expiring references: a link that carries its own permission."""

import hashlib
import hmac


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
