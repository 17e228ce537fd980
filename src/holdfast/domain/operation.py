"""Operations: the long work behind backups, restores and addon changes, and how it may move.

Every long thing is one operation row. Its state moves through `MOVES` and nothing else; the
catalogue writes each move by compare-and-set, fenced by the dispatch number.
"""

from enum import StrEnum


class Status(StrEnum):
    """The words of the v1 API, for backups and restores alike."""

    SCHEDULED = "scheduled"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    ABORTING = "aborting"
    ABORTED = "aborted"
    FAILED = "failed"
    NOT_SUPPORTED = "not-supported"


MOVES: dict[Status, frozenset[Status]] = {
    Status.SCHEDULED: frozenset(
        {Status.IN_PROGRESS, Status.ABORTED, Status.FAILED, Status.NOT_SUPPORTED}
    ),
    Status.IN_PROGRESS: frozenset(
        {Status.COMPLETED, Status.FAILED, Status.NOT_SUPPORTED, Status.ABORTING}
    ),
    # Completed wins over an abort that came after the last byte was proven.
    Status.ABORTING: frozenset({Status.ABORTED, Status.COMPLETED}),
    Status.COMPLETED: frozenset(),
    Status.ABORTED: frozenset(),
    Status.FAILED: frozenset(),
    Status.NOT_SUPPORTED: frozenset(),
}

OVER = frozenset(status for status, onward in MOVES.items() if not onward)


def may_move(old: Status, new: Status) -> bool:
    return new in MOVES[old]


class Kind(StrEnum):
    BACKUP = "backup"
    SNAPSHOT = "snapshot"
    RESTORE = "restore"
    REWIND = "rewind"  # a restore of a snapshot, by exchanging a server's files
    REFILL = "refill"  # a restore of a snapshot, into a database that stays open
    UNDO = "undo"  # of a restore, with the old data that it set aside
    COPY = "copy"  # of a snapshot, to an additional destination
    REPAIR = "repair"  # of a copy that was lost
    TIDY = "tidy"  # of a snapshot repository
    DROP_OLD = "drop-old"  # data that a restore set aside, when its time is over
    PROVISION = "provision"
    PAUSE = "pause"
    RESUME = "resume"
    RESTART = "restart"
    RESET = "reset"
    DELETE = "delete"


PRIORITY: dict[Kind, int] = {
    Kind.RESTORE: 1,
    Kind.REWIND: 1,
    Kind.REFILL: 1,
    Kind.UNDO: 1,
    Kind.DELETE: 2,
    Kind.PROVISION: 2,
    Kind.PAUSE: 2,
    Kind.RESUME: 2,
    Kind.RESTART: 2,
    Kind.RESET: 2,
    Kind.BACKUP: 5,
    Kind.SNAPSHOT: 5,
    Kind.COPY: 6,
    Kind.REPAIR: 6,
    Kind.TIDY: 7,
    Kind.DROP_OLD: 7,
}
"""1 goes first. Somebody waits for a restore; nobody waits for a backup."""

TAKING = frozenset({Kind.BACKUP, Kind.SNAPSHOT})
RESTORING = frozenset({Kind.RESTORE, Kind.REWIND, Kind.REFILL, Kind.UNDO})
KEEPING = frozenset({Kind.COPY, Kind.REPAIR, Kind.TIDY, Kind.DROP_OLD})
"""Work on what was taken; the server goes on as it was."""

MAX_ATTEMPTS = 3
"""Takeovers after which an operation that keeps killing its worker is failed."""

ANY_LANE = "any"
"""The queue of work that any worker can do; work bound to one machine waits in its lane."""
