"""What a key may look like; every driver checks before it touches anything."""

import re

_KEY = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
_PREFIX = re.compile(r"([A-Za-z0-9._-]+/)*[A-Za-z0-9._-]*")


def checked_key(key: str) -> str:
    """The key, or ValueError: a bad key is a defect of the caller, not of the store."""
    if not _KEY.fullmatch(key) or _climbs(key):
        raise ValueError(f"not a key: {key!r}")
    return key


def checked_prefix(prefix: str) -> str:
    """The beginning of a key, possibly empty, or ValueError."""
    if not _PREFIX.fullmatch(prefix) or _climbs(prefix):
        raise ValueError(f"not the beginning of a key: {prefix!r}")
    return prefix


def checked_clearing(prefix: str) -> str:
    """A prefix that may be cleared: never empty, for that would be everything."""
    if not prefix:
        raise ValueError("refusing to clear a whole store")
    return checked_prefix(prefix)


def _climbs(key: str) -> bool:
    return any(segment in (".", "..") or ".." in segment for segment in key.split("/"))
