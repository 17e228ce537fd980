"""Signs links that carry their own permission, and manifests that this installation wrote."""

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
