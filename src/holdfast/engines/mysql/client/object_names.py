"""Names of the databases, users and locks that Holdfast creates on a server.

They derive from the operation, so that any later attempt of it, on any worker, recognises what an
earlier one left; and from the attempt's number, so that an attempt that was taken for dead and
wakes up neither writes into nor removes what a later one created.
"""

import hashlib

from holdfast.contracts.engine import Attempt

STAGE_PREFIX = "holdfast_stage_"
OLD_PREFIX = "holdfast_old_"
OURS = (STAGE_PREFIX, OLD_PREFIX)
LEDGER = "book"
LOADER_PREFIX = "holdfast_load_"


RAW = "#mysql50#"
"""Prefix that servers show before a database directory whose name is not in their encoding."""


def plain_name(database: str) -> str:
    """The name that a database gets on the server to which it is restored."""
    return database.removeprefix(RAW)


def short_id(op: str) -> str:
    """Ten hex characters that stand for an operation id of any form."""
    return hashlib.sha256(op.encode()).hexdigest()[:10]


def stages_prefix(op: str) -> str:
    """Prefix of the staging databases of all attempts."""
    return f"{STAGE_PREFIX}{short_id(op)}_"


def stage_prefix(attempt: Attempt) -> str:
    """Prefix of the staging databases that this attempt uses, perhaps those of an earlier one."""
    return f"{stages_prefix(attempt.op)}{f'{attempt.stage}_' if attempt.stage else ''}"


def is_older_stage(name: str, attempt: Attempt) -> bool:
    """Whether this attempt or an earlier one created the staging database."""
    number, mark, _ = name.removeprefix(stages_prefix(attempt.op)).partition("_")
    return not (mark and number.isdigit()) or int(number) <= attempt.number


def old_prefix(op: str) -> str:
    """Prefix of databases with the old data, and of old tables' temporary names."""
    return f"{OLD_PREFIX}{short_id(op)}_"


def ledger(attempt: Attempt) -> str:
    """The small database in which a restore keeps its ledger."""
    return f"{stage_prefix(attempt)}{LEDGER}"


def old_ledger(op: str) -> str:
    """The database with the ledger of the old data that a restore set aside."""
    return f"{old_prefix(op)}{LEDGER}"


def loader_user(op: str, number: int) -> str:
    """The user that loads, with rights on the staging databases only.

    User names have 32 characters at most.
    """
    return f"{LOADER_PREFIX}{short_id(op)}{f'_{number}' if number else ''}"


def session_lock(op: str, number: int) -> str:
    """The lock that an attempt's session holds, so that the next attempt finds and ends it."""
    return f"holdfast_{short_id(op)}_{number}"


def is_ours(database: str) -> bool:
    return database.startswith(OURS)
