"""Names of the databases, sessions and archive members that Holdfast makes.

Names on the server derive from the operation, so that any later attempt of the same operation, on
any worker, recognises what an earlier one left; and from the attempt's number, so that an attempt
that was taken for dead and wakes up neither writes into nor removes databases of a later one.
"""

import hashlib
import re
from collections.abc import Iterable

from holdfast.contracts.engine import Attempt

STAGE = "holdfast_stage_"
OLD = "holdfast_old_"
OURS = (STAGE, OLD)
LEDGER = "book"
_OURS = re.compile(
    rf"{STAGE}[0-9a-f]{{10}}_(?:\d+_)?(?:\d+|{LEDGER})|{OLD}[0-9a-f]{{10}}_(?:\d+|{LEDGER})"
)


def short_hash(text: str) -> str:
    """Ten hex characters standing for an operation or attempt id, whatever its form."""
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def application(attempt: Attempt) -> str:
    """The `application_name` of every session of one attempt; 63 bytes is the server's limit."""
    return f"{application_prefix(attempt.op)}{attempt.number}-{short_hash(attempt.tag)}"


def application_prefix(op: str) -> str:
    return f"holdfast-{short_hash(op)}-"


def is_older_session(name: str, attempt: Attempt) -> bool:
    """Does this `application_name` belong to this attempt or to an earlier one?"""
    number = name.removeprefix(application_prefix(attempt.op)).partition("-")[0]
    return not number.isdigit() or int(number) <= attempt.number


def stages_prefix(op: str) -> str:
    """The prefix of databases that any attempt of the operation staged."""
    return f"{STAGE}{short_hash(op)}_"


def stage_prefix(attempt: Attempt) -> str:
    """The prefix of databases that the attempt staged whose work this one continues."""
    return f"{stages_prefix(attempt.op)}{f'{attempt.stage}_' if attempt.stage else ''}"


def is_older_stage(name: str, attempt: Attempt) -> bool:
    """Was this database staged by this attempt or by an earlier one?"""
    number, mark, _ = name.removeprefix(stages_prefix(attempt.op)).partition("_")
    return not (mark and number.isdigit()) or int(number) <= attempt.number


def old_prefix(op: str) -> str:
    return f"{OLD}{short_hash(op)}_"


def old_ledger_database(op: str) -> str:
    return f"{old_prefix(op)}{LEDGER}"


def ledger_database(attempt: Attempt) -> str:
    """The small database that holds the ledger of one restore: see `restore.ledger`."""
    return f"{stage_prefix(attempt)}{LEDGER}"


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
