"""Classifies stored objects of dumps as live, in the making, leftover or foreign.

Only the key and the catalogue's rows count. An object is ours only if rows prove its backup, its
destination and its attempt. Anything without a row is foreign, even if it looks like ours: another
installation may share the bucket.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from holdfast.domain.artifact import MANIFEST, backup_prefix
from holdfast.domain.operation import OVER, Status
from holdfast.domain.snapshot import is_snapshot_key

ROOT = "dumps/"
YOUNG_MS = 3_600_000
"""Foreign objects younger than this are not reported yet."""

_SEGMENT = r"[A-Za-z0-9._-]+"
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_SHAPE = re.compile(rf"{ROOT}({_SEGMENT})/({_SEGMENT})/({_UUID})/([1-9][0-9]*)/.+")


@dataclass(frozen=True, slots=True)
class Spot:
    """The location of one attempt of one dump, as its keys say."""

    project: str
    addon: str
    uid: str
    attempt: int

    @property
    def folder(self) -> str:
        return backup_prefix(self.project, self.addon, self.uid)

    @property
    def prefix(self) -> str:
        return f"{self.folder}{self.attempt}/"


def spot_of(key: str) -> Spot | None:
    """Parses the key of a dump's object; None if it has another shape."""
    match = _SHAPE.fullmatch(key)
    if match is None:
        return None
    project, addon, uid, attempt = match.groups()
    return Spot(project, addon, uid, int(attempt))


def neighbourhood(key: str) -> str:
    """The folder a foreign object is reported under, at most three levels deep."""
    return "/".join(key.split("/")[:-1][:3]) + "/"


class Class(StrEnum):
    LIVE = "live"
    MAKING = "making"  # may still be written, or is being removed by its deletion
    LEFTOVER = "leftover"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class RecordedBackup:
    """The rows' facts about a backup that has objects at a destination.

    `folder` is where its objects belong; `operation` made them, None if they were adopted, of which
    no other attempts are known. `published` are the prefixes of its copies at all destinations that
    are not gone. `has_row`: a copy at this destination has a row; `present`: that copy is not gone;
    `going`: it is being deleted, or its backup is hidden already.
    """

    folder: str
    operation: str | None
    status: str | None
    ended: int | None
    attempts: int
    has_row: bool
    present: bool
    going: bool
    published: frozenset[str]


@dataclass(frozen=True, slots=True)
class Finding:
    """The class of an object, and its proof as a clause."""

    kind: Class
    why: str


def classify(spot: Spot | None, recorded: RecordedBackup | None) -> Finding:
    """Leftover only if rows prove that it is not needed; foreign if no row knows it."""
    if spot is None:
        return Finding(Class.FOREIGN, "it has not the shape of a backup of ours")
    if recorded is None:
        return Finding(Class.FOREIGN, f"no backup here has the uid {spot.uid}")
    stranger = _foreign_reason(spot, recorded)
    if stranger is not None:
        return Finding(Class.FOREIGN, stranger)
    if recorded.operation and (recorded.status is None or Status(recorded.status) not in OVER):
        finding = Finding(Class.MAKING, f"operation {recorded.operation} is not over")
    elif recorded.going:
        finding = Finding(Class.MAKING, "its deletion is under way")
    elif spot.prefix in recorded.published:
        finding = Finding(Class.LIVE, "it is the published attempt")
    else:
        finding = Finding(Class.LEFTOVER, _leftover_proof(spot, recorded))
    return finding


def _foreign_reason(spot: Spot, recorded: RecordedBackup) -> str | None:
    if recorded.folder != spot.folder:
        return f"backup {spot.uid} belongs under {recorded.folder}"
    if not recorded.has_row:
        return f"no copy of backup {spot.uid} was ever kept here"
    if recorded.operation is None:
        adopted = spot.prefix in recorded.published
        return None if adopted else f"of backup {spot.uid}, which was adopted, it is no part"
    if spot.attempt > recorded.attempts:
        return f"backup {spot.uid} had {recorded.attempts} attempts, never a number {spot.attempt}"
    return None


def _leftover_proof(spot: Spot, recorded: RecordedBackup) -> str:
    over = f"operation {recorded.operation} is over since {recorded.ended} ({recorded.status})"
    if not recorded.present:
        return f"{over} and the copy here is gone"
    if recorded.published:
        return f"{over} and published {', '.join(sorted(recorded.published))}, not {spot.prefix}"
    return f"{over} and published nothing"


def damage(prefix: str, sizes: Mapping[str, int], stored: Mapping[str, int]) -> str | None:
    """The first problem of a completed copy: an object is missing or has another size; None: whole.

    `sizes` are the proven bytes by name, `stored` the bytes in the store by key. A snapshot is one
    object, whose key is the prefix."""
    if is_snapshot_key(prefix):
        return None if prefix in stored else f"{prefix} is missing"
    if prefix + MANIFEST not in stored:
        return f"{prefix}{MANIFEST} is missing"
    for name, size in sizes.items():
        stored_bytes = stored.get(prefix + name)
        if stored_bytes is None:
            return f"{prefix}{name} is missing"
        if stored_bytes != size:
            return f"{prefix}{name} holds {stored_bytes} bytes, {size} were proven"
    return None
