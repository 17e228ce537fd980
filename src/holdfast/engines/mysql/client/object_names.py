"""Names of users and locks of ours, beside `engines/staging_names.py`."""

from holdfast.engines.staging_names import OURS, short_hash

LOADER_PREFIX = "holdfast_load_"


RAW = "#mysql50#"
"""Prefix that servers show before a database directory whose name is not in their encoding."""


def plain_name(database: str) -> str:
    """The name that a database gets on the server to which it is restored."""
    return database.removeprefix(RAW)


def loader_user(op: str, number: int) -> str:
    """The user that loads, with rights on the staging databases only.

    User names have 32 characters at most.
    """
    return f"{LOADER_PREFIX}{short_hash(op)}{f'_{number}' if number else ''}"


def session_lock(op: str, number: int) -> str:
    """The lock that an attempt's session holds, so that the next attempt finds and ends it."""
    return f"holdfast_{short_hash(op)}_{number}"


def is_ours(database: str) -> bool:
    return database.startswith(OURS)
