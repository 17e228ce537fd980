"""Names Holdfast gives to what it puts on a server or into an archive.

Names on the server are derived from the operation, so that any later attempt of the same operation,
on any worker, recognises what an earlier one left; and from the attempt's number, so that one that
was taken for dead and wakes up neither writes into nor removes what a later one made.
"""

import hashlib
import re
from collections.abc import Iterable

from holdfast.contracts.engine import Attempt

STAGE = "holdfast_stage_"
OLD = "holdfast_old_"
OURS = (STAGE, OLD)
BOOK = "book"
_OURS = re.compile(
    rf"{STAGE}[0-9a-f]{{10}}_(?:\d+_)?(?:\d+|{BOOK})|{OLD}[0-9a-f]{{10}}_(?:\d+|{BOOK})"
)


def short(text: str) -> str:
    """Ten hex characters standing for an operation or attempt id, whatever its form."""
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def application(attempt: Attempt) -> str:
    """`application_name` of every session of one attempt; 63 bytes is the server's limit."""
    return f"{application_prefix(attempt.op)}{attempt.number}-{short(attempt.tag)}"


def application_prefix(op: str) -> str:
    return f"holdfast-{short(op)}-"


def is_older_session(name: str, attempt: Attempt) -> bool:
    """Is this `application_name` one of this attempt or of one before it?"""
    number = name.removeprefix(application_prefix(attempt.op)).partition("-")[0]
    return not number.isdigit() or int(number) <= attempt.number


def stages_prefix(op: str) -> str:
    """Of what all attempts staged."""
    return f"{STAGE}{short(op)}_"


def stage_prefix(attempt: Attempt) -> str:
    """Of what the attempt staged with whose work this one goes on."""
    return f"{stages_prefix(attempt.op)}{f'{attempt.stage}_' if attempt.stage else ''}"


def is_older_stage(name: str, attempt: Attempt) -> bool:
    """Was this staged by this attempt or by one before it?"""
    number, mark, _ = name.removeprefix(stages_prefix(attempt.op)).partition("_")
    return not (mark and number.isdigit()) or int(number) <= attempt.number


def old_prefix(op: str) -> str:
    return f"{OLD}{short(op)}_"


def old_book(op: str) -> str:
    return f"{old_prefix(op)}{BOOK}"


def book(attempt: Attempt) -> str:
    """The small database in which one restore keeps its books."""
    return f"{stage_prefix(attempt)}{BOOK}"


def is_ours(database: str) -> bool:
    """Exactly the form of our own names: others may begin like them."""
    return _OURS.fullmatch(database) is not None


def member_names(databases: Iterable[str]) -> dict[str, str]:
    """Database name to a file name that is safe everywhere and unique, even ignoring case."""
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
