"""Names of what a restore puts on a server, the same for every engine with staging databases.

They derive from the operation, so that any later attempt of it, on any worker, recognises what an
earlier one left; and from the attempt's number, so that an attempt that was taken for dead and
wakes up neither writes into nor removes what a later one created.
"""

import hashlib

from holdfast.contracts.engine import Attempt

STAGE = "holdfast_stage_"
OLD = "holdfast_old_"
OURS = (STAGE, OLD)
LEDGER = "book"


def short_hash(text: str) -> str:
    """Ten hex characters standing for an operation or attempt id, whatever its form."""
    return hashlib.sha256(text.encode()).hexdigest()[:10]


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
    """The prefix of what holds old data, and of old tables' temporary names."""
    return f"{OLD}{short_hash(op)}_"


def ledger_database(attempt: Attempt) -> str:
    """The small database that holds the ledger of one restore: see `restore.ledger`."""
    return f"{stage_prefix(attempt)}{LEDGER}"


def old_ledger_database(op: str) -> str:
    """The database with the ledger of the old data that a restore set aside."""
    return f"{old_prefix(op)}{LEDGER}"
