"""Identifiers and randomness."""

import secrets
import uuid


def hex24() -> str:
    """24 lowercase hex characters, unguessable: the id form of the v1 API."""
    return secrets.token_hex(12)


def uid() -> str:
    return str(uuid.uuid4())


def password() -> str:
    """Alphanumeric and URL-safe without escaping, 190 bits."""
    return secrets.token_hex(24)


def token() -> str:
    """An API token; the prefix lets secret scanners recognise a leaked one."""
    return f"hft_{secrets.token_urlsafe(32)}"


def ping_key() -> str:
    """The key in a monitor's URL, 256 bits, with a prefix as a token has."""
    return f"hfp_{secrets.token_urlsafe(32)}"


def cookie() -> str:
    """The id of a browser's session, 256 bits."""
    return secrets.token_urlsafe(32)
