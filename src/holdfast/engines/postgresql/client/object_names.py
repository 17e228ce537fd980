"""Names of sessions and archive members of ours, beside `engines/staging_names.py`."""

import re
from collections.abc import Iterable

from holdfast.contracts.engine import Attempt
from holdfast.engines.staging_names import LEDGER, OLD, STAGE, short_hash

_OURS = re.compile(
    rf"{STAGE}[0-9a-f]{{10}}_(?:\d+_)?(?:\d+|{LEDGER})|{OLD}[0-9a-f]{{10}}_(?:\d+|{LEDGER})"
)


def application(attempt: Attempt) -> str:
    """The `application_name` of every session of one attempt; 63 bytes is the server's limit."""
    return f"{application_prefix(attempt.op)}{attempt.number}-{short_hash(attempt.tag)}"


def application_prefix(op: str) -> str:
    return f"holdfast-{short_hash(op)}-"


def is_older_session(name: str, attempt: Attempt) -> bool:
    """Does this `application_name` belong to this attempt or to an earlier one?"""
    number = name.removeprefix(application_prefix(attempt.op)).partition("-")[0]
    return not number.isdigit() or int(number) <= attempt.number


def is_ours(database: str) -> bool:
    """Matches the whole form of our names: other databases may begin like them."""
    return _OURS.fullmatch(database) is not None


def member_names(databases: Iterable[str]) -> dict[str, str]:
    """Maps database names to file names that are safe everywhere and unique even ignoring case."""
    used: set[str] = set()
    names: dict[str, str] = {}
    for database in databases:
        base = re.sub(r"[^A-Za-z0-9_-]+", "-", database).strip("-_")[:48] or "database"
        candidate, number = base, 1
        while candidate.lower() in used:
            number += 1
            candidate = f"{base}-{number}"
        used.add(candidate.lower())
        names[database] = f"{candidate}.dump"
    return names
