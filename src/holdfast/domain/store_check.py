"""What a stored object is to us: judged from its key and from what the rows say, nothing else.

An object is ours only if a row says that its backup, its place and its attempt exist. Whatever
has no row is foreign, even if it looks like ours: another installation may share the bucket.
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
    """Where an object of ours would be: one attempt of one backup."""

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
    """None: not of our shape."""
    found = _SHAPE.fullmatch(key)
    if found is None:
        return None
    project, addon, uid, attempt = found.groups()
    return Spot(project, addon, uid, int(attempt))


def neighbourhood(key: str) -> str:
    """What a foreign object is reported under: its folder, but none below an addon's."""
    return "/".join(key.split("/")[:-1][:3]) + "/"


class Class(StrEnum):
    LIVE = "live"
    MAKING = "making"  # may still be written, or is being removed by its deletion
    LEFTOVER = "leftover"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Known:
    """What the rows say of a backup whose objects lie at a place.

    `folder` is where they belong, `operation` what made them: None for those that were adopted, of
    which no other attempts are known. `published` are the prefixes of all its copies that are not
    gone, at whatever place; `here` says whether a copy at this place has a row at all, `present`
    whether it is not gone, `going` whether a deletion is at it or it is hidden already.
    """

    folder: str
    operation: str | None
    status: str | None
    ended: int | None
    attempts: int
    here: bool
    present: bool
    going: bool
    published: frozenset[str]


@dataclass(frozen=True, slots=True)
class Finding:
    """The class, and the proof as a sentence."""

    kind: Class
    why: str


def classify(spot: Spot | None, known: Known | None) -> Finding:
    """Leftover only when a row proves that nobody will need it; foreign when no row knows it."""
    if spot is None:
        return Finding(Class.FOREIGN, "it has not the shape of a backup of ours")
    if known is None:
        return Finding(Class.FOREIGN, f"no backup here has the uid {spot.uid}")
    stranger = _stranger(spot, known)
    if stranger is not None:
        return Finding(Class.FOREIGN, stranger)
    busy = _busy(known)
    if busy is not None:
        return Finding(Class.MAKING, busy)
    if spot.prefix in known.published:
        return Finding(Class.LIVE, "it is the published attempt")
    return Finding(Class.LEFTOVER, _proof(spot, known))


def _busy(known: Known) -> str | None:
    if known.operation and (known.status is None or Status(known.status) not in OVER):
        return f"operation {known.operation} is not over"
    return "its deletion is under way" if known.going else None


def _stranger(spot: Spot, known: Known) -> str | None:
    if known.folder != spot.folder:
        return f"backup {spot.uid} belongs under {known.folder}"
    if not known.here:
        return f"no copy of backup {spot.uid} was ever kept here"
    if known.operation is None:
        adopted = spot.prefix in known.published
        return None if adopted else f"of backup {spot.uid}, which was adopted, it is no part"
    if spot.attempt > known.attempts:
        return f"backup {spot.uid} had {known.attempts} attempts, never a number {spot.attempt}"
    return None


def _proof(spot: Spot, known: Known) -> str:
    over = f"operation {known.operation} is over since {known.ended} ({known.status})"
    if not known.present:
        return f"{over} and the copy here is gone"
    if known.published:
        return f"{over} and published {', '.join(sorted(known.published))}, not {spot.prefix}"
    return f"{over} and published nothing"


def damage(prefix: str, sizes: Mapping[str, int], found: Mapping[str, int]) -> str | None:
    """What is wrong with a completed copy: `sizes` by name as proven, `found` by key in the
    store. None: everything is there, in its size. A snapshot is one object, its own prefix."""
    if is_snapshot_key(prefix):
        return None if prefix in found else f"{prefix} is missing"
    if prefix + MANIFEST not in found:
        return f"{prefix}{MANIFEST} is missing"
    for name, size in sizes.items():
        there = found.get(prefix + name)
        if there is None:
            return f"{prefix}{name} is missing"
        if there != size:
            return f"{prefix}{name} holds {there} bytes, {size} were proven"
    return None
