"""Operations: the long work behind backups, restores and addon changes, and their statuses.

Each is one row. Its status changes only along `MOVES`; the catalogue writes each change by
compare-and-set, fenced by the dispatch number.
"""

from collections.abc import Collection
from enum import StrEnum


class Status(StrEnum):
    """The statuses of the v1 API, of backups and restores alike."""

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
    RESTORE_IN_PLACE = "rewind"  # of a snapshot, by exchanging a server's data directory
    RECOVER = "recover"  # a snapshot and the log after it, by exchanging the data directory
    RESTORE_OPEN_FILE = "refill"  # of a snapshot, into a database file that stays open
    UNDO = "undo"  # of a restore, with the old data that it set aside
    REPLICATE = "copy"  # of a snapshot, to an additional destination
    REPAIR = "repair"  # of a copy that was lost
    PRUNE = "tidy"  # of a snapshot repository
    DROP_OLD = "drop-old"  # data that a restore set aside, when its time is over
    DRILL = "drill"  # a restore into a throwaway server, to prove that it works
    PROVISION = "provision"
    PAUSE = "pause"
    RESUME = "resume"
    RESTART = "restart"
    RESET = "reset"
    DELETE = "delete"


PRIORITY: dict[Kind, int] = {
    Kind.RESTORE: 1,
    Kind.RESTORE_IN_PLACE: 1,
    Kind.RECOVER: 1,
    Kind.RESTORE_OPEN_FILE: 1,
    Kind.UNDO: 1,
    Kind.DELETE: 2,
    Kind.PROVISION: 2,
    Kind.PAUSE: 2,
    Kind.RESUME: 2,
    Kind.RESTART: 2,
    Kind.RESET: 2,
    Kind.BACKUP: 5,
    Kind.SNAPSHOT: 5,
    Kind.REPLICATE: 6,
    Kind.REPAIR: 6,
    Kind.PRUNE: 7,
    Kind.DROP_OLD: 7,
    Kind.DRILL: 8,
}
"""1 goes first: people wait for restores, not for backups."""

TAKING = frozenset({Kind.BACKUP, Kind.SNAPSHOT})
IN_PLACE = frozenset({Kind.RESTORE_IN_PLACE, Kind.RECOVER})
"""Restores that exchange a server's data directory."""
RESTORING = frozenset({Kind.RESTORE, *IN_PLACE, Kind.RESTORE_OPEN_FILE, Kind.UNDO})
KEEPING = frozenset({Kind.REPLICATE, Kind.REPAIR, Kind.PRUNE, Kind.DROP_OLD, Kind.DRILL})
"""Work on stored backups; the server is not touched."""
BESIDE = frozenset({Kind.DRILL, Kind.REPLICATE})
"""Work that goes on beside an addon's other work, one of a kind at a time."""
_APART: dict[Kind, frozenset[Kind]] = {
    # Neither sends to a repository while what it lacks is found out, or what it has is removed.
    Kind.REPLICATE: frozenset({Kind.PRUNE, Kind.REPAIR}),
    Kind.PRUNE: frozenset({Kind.REPLICATE}),
    Kind.REPAIR: frozenset({Kind.REPLICATE}),
}


def may_begin(kind: Kind, running: Collection[Kind]) -> bool:
    """Whether work of a kind may begin beside what already runs on its addon."""
    if any(other in _APART.get(kind, ()) for other in running):
        return False
    if kind in BESIDE:
        return kind not in running
    return all(other in BESIDE for other in running)


ALONE_SLOT, BESIDE_SLOT = 1, 2
"""Values of an operation's slot. The database keeps a second operation of an addon out of the
first, and a second of the same kind out of the second."""

MAX_ATTEMPTS = 3
"""Attempts after which an operation that keeps losing its worker fails."""

ANY_LANE = "any"
"""The lane of work that any worker can do; work bound to one machine waits in that one's."""

DRILL_LANE = "drills"
"""The lane of drills, so that backups never wait behind them."""
