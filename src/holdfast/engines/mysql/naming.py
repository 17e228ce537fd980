"""Names Holdfast gives to what it puts on a server.

They are derived from the operation alone, so that any later attempt of the same operation, on any
worker, recognises what an earlier one left.
"""

import hashlib

STAGE = "holdfast_stage_"
OLD = "holdfast_old_"
OURS = (STAGE, OLD)
LOADER = "holdfast_load_"


def short(op: str) -> str:
    """Ten hex characters standing for an operation id, whatever its form."""
    return hashlib.sha256(op.encode()).hexdigest()[:10]


def stage_prefix(op: str) -> str:
    return f"{STAGE}{short(op)}_"


def old_prefix(op: str) -> str:
    return f"{OLD}{short(op)}_"


def book(op: str) -> str:
    """The small database in which one restore keeps its books."""
    return f"{stage_prefix(op)}book"


def loader(op: str) -> str:
    """The user that loads: it may touch the staging databases and nothing else."""
    return f"{LOADER}{short(op)}"


def is_ours(database: str) -> bool:
    return database.startswith(OURS)
