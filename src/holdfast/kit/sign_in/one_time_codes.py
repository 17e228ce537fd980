"""Codes of authenticator apps (TOTP, RFC 6238), and recovery codes for when the app is lost."""

import hashlib
import hmac
import re
import secrets

import pyotp
import segno
from pyotp.totp import TOTP

from holdfast.kit.seal import Secret

_STEP_SECONDS = 30
_DIGITS = re.compile(r"\d{6}")
RECOVERY_CODES = 10
_RECOVERY_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
"""Without characters that look like others."""


def new_secret() -> Secret:
    """160 bits in base32, as apps take it."""
    return Secret(pyotp.random_base32())


def app_uri(secret: Secret, user: str, installation: str) -> str:
    """What the QR code says to an authenticator app."""
    totp = TOTP(secret.reveal())
    return totp.provisioning_uri(name=user, issuer_name=f"Holdfast {installation}")


def qr_svg(text: str) -> str:
    """The QR code as an SVG element without styles of its own."""
    code = segno.make(text, error="m", micro=False)
    return code.svg_inline(svgclass="qr", lineclass=None, omitsize=True, border=2)


def accepted_step(secret: Secret, code: str, now: int, last_step: int | None) -> int | None:
    """The time step of the code; None for a wrong one, and for one that was used already.

    A step before and one after are accepted, for clocks that are not exact. `now` in ms.
    """
    digits = code.replace(" ", "")
    if not _DIGITS.fullmatch(digits):
        return None
    totp = TOTP(secret.reveal())
    current = now // 1000 // _STEP_SECONDS
    for step in (current, current - 1, current + 1):
        fits = hmac.compare_digest(totp.generate_otp(step), digits)
        if fits and (last_step is None or step > last_step):
            return step
    return None


def new_recovery_codes() -> list[Secret]:
    """Codes of 79 bits each, in groups that are easy to copy."""
    return [Secret("-".join(_group() for _ in range(4))) for _ in range(RECOVERY_CODES)]


def _group() -> str:
    return "".join(secrets.choice(_RECOVERY_ALPHABET) for _ in range(4))


def recovery_digest(user_id: str, code: str) -> str:
    """What is kept of a recovery code: too random to guess, so no slow hash."""
    letters = re.sub(r"[^0-9a-z]", "", code.lower())
    return hashlib.sha256(f"recovery|{user_id}|{letters}".encode()).hexdigest()
