"""Addons: the databases we back up. Managed ones we run; attached ones the user runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from holdfast.domain.operation import RESTORING, TAKING

NEIGHBOURS = (
    "this server runs as the same user of its machine as servers of other projects, whose owners"
    " could reach its files through a fault of a server: run Holdfast as root to give each its own"
)
"""Warning shown while a server shares its operating system user with other projects."""


class AddonStatus(StrEnum):
    """The statuses of the v1 API that an addon can have."""

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
    """The state the owner wants an addon's server in; the supervisor establishes it."""

    RUNNING = "running"
    PAUSED = "paused"
    DELETED = "deleted"


@dataclass(frozen=True)
class Control:
    """How we may control an attached addon's server: the machine's operator allows us to exchange
    its data `directory` between these two commands."""

    directory: Path
    stop: Sequence[str]
    start: Sequence[str]


def shown_status(status: AddonStatus, busy_with: str | None) -> AddonStatus:
    """The status to show: a running addon shows the backup or restore under way."""
    if status is AddonStatus.RUNNING and busy_with in TAKING:
        return AddonStatus.BACKUP
    if status is AddonStatus.RUNNING and busy_with in RESTORING:
        return AddonStatus.RESTORE
    return status


def pick_version(requested: str, available: list[str]) -> str | None:
    """Resolves `latest`, `15-latest`, `15` or an exact version to one of `available`, which is
    sorted newest first; None when none fits."""
    if requested in ("latest", ""):
        return available[0] if available else None
    if requested in available:
        return requested
    series = requested.removesuffix("-latest")
    return next((v for v in available if f"{v}.".startswith(f"{series}.")), None)


def is_newer_minor(candidate: str, current: str, series: Callable[[str], str]) -> bool:
    """`15.20` is a newer minor version of `15.18`; `16.1` is of another `series`."""
    new, old = (tuple(int(part) for part in v.split(".")) for v in (candidate, current))
    return series(candidate) == series(current) and new > old
