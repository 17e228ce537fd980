"""Names Holdfast gives to what it puts on a server.

They are derived from the operation, so that any later attempt of the same operation, on any worker,
recognises what an earlier one left; and from the attempt's number, so that one that was taken for
dead and wakes up neither writes into nor removes what a later one made.
"""

import hashlib

from holdfast.contracts.engine import Attempt

STAGE = "holdfast_stage_"
OLD = "holdfast_old_"
OURS = (STAGE, OLD)
BOOK = "book"
LOADER = "holdfast_load_"


RAW = "#mysql50#"
"""Before the name of a directory that is not encoded as the server encodes names of databases."""


def plain(database: str) -> str:
    """The name that a database has on a server where it is made."""
    return database.removeprefix(RAW)


def short(op: str) -> str:
    """Ten hex characters standing for an operation id, whatever its form."""
    return hashlib.sha256(op.encode()).hexdigest()[:10]


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
    """Of databases with the old data, and of the names that old tables have for a moment."""
    return f"{OLD}{short(op)}_"


def book(attempt: Attempt) -> str:
    """The small database in which one restore keeps its books."""
    return f"{stage_prefix(attempt)}{BOOK}"


def old_book(op: str) -> str:
    """The book of the old data that a restore set aside."""
    return f"{old_prefix(op)}{BOOK}"


def loader(op: str, number: int) -> str:
    """The user that loads: it may touch the staging databases and nothing else. A name of a user
    has 32 characters at most."""
    return f"{LOADER}{short(op)}{f'_{number}' if number else ''}"


def session_lock(op: str, number: int) -> str:
    """What a session of an attempt holds, so that the next one finds and ends it."""
    return f"holdfast_{short(op)}_{number}"


def is_ours(database: str) -> bool:
    return database.startswith(OURS)
