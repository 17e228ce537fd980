"""Addons: databases we back up. Managed ones we run ourselves, attached ones belong to the user."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from holdfast.domain.operation import RESTORING, TAKING

NEIGHBOURS = (
    "this server runs as the same user of its machine as servers of other projects, whose owners"
    " could reach its files through a fault of a server: run Holdfast as root to give each its own"
)
"""Shown while it is so."""


class AddonStatus(StrEnum):
    """The words of the v1 API that an addon of ours can be in."""

    PRE_DEPLOYMENT = "preDeployment"
    ALLOCATING = "allocating"
    POST_DEPLOYMENT = "postDeployment"
    RUNNING = "running"
    PAUSED = "paused"
    RESETTING = "resetting"
    UPGRADING = "upgrading"
    BACKUP = "backup"
    RESTORE = "restore"
    FAILED = "failed"
    ERROR = "error"
    DELETING = "deleting"
    DELETED = "deleted"


class Desired(StrEnum):
    """What the owner wants of an addon's server; the supervisor makes it so."""

    RUNNING = "running"
    PAUSED = "paused"
    DELETED = "deleted"


@dataclass(frozen=True)
class Control:
    """What the operator of a machine lets us do with the server of an attached addon: exchange
    its data `directory` between these two commands."""

    directory: Path
    stop: Sequence[str]
    start: Sequence[str]


def shown_status(status: AddonStatus, busy_with: str | None) -> AddonStatus:
    """A running addon shows what is being done to it."""
    if status is AddonStatus.RUNNING and busy_with in TAKING:
        return AddonStatus.BACKUP
    if status is AddonStatus.RUNNING and busy_with in RESTORING:
        return AddonStatus.RESTORE
    return status


def pick_version(wanted: str, available: list[str]) -> str | None:
    """`latest`, `15-latest`, `15` or an exact version to one of `available` (newest first)."""
    if wanted in ("latest", ""):
        return available[0] if available else None
    if wanted in available:
        return wanted
    series = wanted.removesuffix("-latest")
    return next((v for v in available if f"{v}.".startswith(f"{series}.")), None)


def is_newer_minor(candidate: str, current: str, series: Callable[[str], str]) -> bool:
    """`15.20` is a newer minor version of `15.18`; `16.1` is of another `series`."""
    new, old = (tuple(int(part) for part in v.split(".")) for v in (candidate, current))
    return series(candidate) == series(current) and new > old
