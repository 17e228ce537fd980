"""Validates object keys and prefixes; every driver does so before it touches anything."""

import re

_KEY = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
_PREFIX = re.compile(r"([A-Za-z0-9._-]+/)*[A-Za-z0-9._-]*")


def checked_key(key: str) -> str:
    """Returns the key. Raises ValueError: a bad key is the caller's defect, not the store's."""
    if not _KEY.fullmatch(key) or _climbs(key):
        raise ValueError(f"not a key: {key!r}")
    return key


def checked_prefix(prefix: str) -> str:
    """Returns the beginning of a key, possibly empty, or raises ValueError."""
    if not _PREFIX.fullmatch(prefix) or _climbs(prefix):
        raise ValueError(f"not the beginning of a key: {prefix!r}")
    return prefix


def checked_clearing(prefix: str) -> str:
    """Returns a prefix that may be cleared; an empty one would clear the whole store."""
    if not prefix:
        raise ValueError("refusing to clear a whole store")
    return checked_prefix(prefix)


def _climbs(key: str) -> bool:
    return any(segment in (".", "..") or ".." in segment for segment in key.split("/"))
