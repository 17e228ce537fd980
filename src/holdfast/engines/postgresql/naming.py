"""Names Holdfast gives to what it puts on a server or into an archive.

Names on the server are derived from the operation alone, so that any later attempt of the same
operation, on any worker, recognises what an earlier one left.
"""

import hashlib
import re
from collections.abc import Iterable

STAGE = "holdfast_stage_"
OLD = "holdfast_old_"
OURS = (STAGE, OLD)


def short(text: str) -> str:
    """Ten hex characters standing for an operation or attempt id, whatever its form."""
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def application(op: str, tag: str) -> str:
    """`application_name` of every session of one attempt; 63 bytes is the server's limit."""
    return f"{application_prefix(op)}{short(tag)}"


def application_prefix(op: str) -> str:
    return f"holdfast-{short(op)}-"


def stage_prefix(op: str) -> str:
    return f"{STAGE}{short(op)}_"


def old_prefix(op: str) -> str:
    return f"{OLD}{short(op)}_"


def book(op: str) -> str:
    """The small database in which one restore keeps its books."""
    return f"{stage_prefix(op)}book"


def is_ours(database: str) -> bool:
    return database.startswith(OURS)


def member_names(databases: Iterable[str]) -> dict[str, str]:
    """Database name to a file name that is safe everywhere and unique, even ignoring case."""
    taken: set[str] = set()
    names: dict[str, str] = {}
    for database in databases:
        base = re.sub(r"[^A-Za-z0-9_-]+", "-", database).strip("-_")[:48] or "database"
        candidate, number = base, 1
        while candidate.lower() in taken:
            number += 1
            candidate = f"{base}-{number}"
        taken.add(candidate.lower())
        names[database] = f"{candidate}.dump"
    return names
