"""Snapshots: how large their blocks are, and what their objects are called."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_GIB = 1 << 30

WHOLE_BLOCK = 1 << 20
"""For files that change as a whole: smaller blocks would only be more of them."""

PAGES_DIRECTORY = "data"
MANIFEST = "holdfast/manifest.json"
FORMAT = "holdfast-snapshot/1"
ROOT = "snapshots/"

_SEGMENT = r"[A-Za-z0-9._-]+"
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_REPOSITORY = rf"{ROOT}{_SEGMENT}/{_SEGMENT}/{_UUID}/"
_SNAPSHOT = re.compile(rf"{_REPOSITORY}snapshots/[0-9a-f]{{64}}")
_INSIDE = re.compile(rf"({_REPOSITORY}).+")


def page_block(database_bytes: int) -> int:
    """Bytes of a block of a file with pages: small enough that a scattered update stores little
    again, large enough that the index of a large database stays small.
    """
    if database_bytes <= 200 * _GIB:
        return 32 << 10
    return 64 << 10 if database_bytes <= 1024 * _GIB else 128 << 10


CIRCLE = 1 << 32
"""Names of packs are hashes, so they lie evenly around a circle of so many points. Reading goes
around it, and whatever was there when a round began has been read when it ends."""


@dataclass(frozen=True)
class Stretch:
    """A part of the circle, from `begin` on; all of it when it is as long."""

    begin: int
    length: int

    def holds(self, pack: str) -> bool:
        return (int(pack[:8], 16) - self.begin) % CIRCLE < self.length

    @property
    def end(self) -> int:
        return (self.begin + self.length) % CIRCLE


NOTHING = Stretch(0, 0)
EVERYTHING = Stretch(0, CIRCLE)


def next_stretch(begin: int, elapsed_ms: int, round_ms: int) -> Stretch:
    """What to read after `elapsed_ms`, so that a round takes `round_ms`; nothing when that is 0."""
    if round_ms <= 0:
        return Stretch(begin, 0)
    return Stretch(begin, min(CIRCLE, -(-CIRCLE * max(0, elapsed_ms) // round_ms)))


def marks_after(marks: Sequence[Sequence[int]], length: int, now: int) -> list[list[int]]:
    """The last stretches that make up one round, the oldest first: each its length and when it was
    read. Those before them were read again since."""
    found = [[int(mark[0]), int(mark[1])] for mark in marks]
    if length > 0:
        found.append([length, now])
    while found and sum(each[0] for each in found[1:]) >= CIRCLE:
        found.pop(0)
    return found


def snapshot_key(prefix: str, snapshot: str) -> str:
    """The object whose absence means that there is no such snapshot any more."""
    return f"{prefix}snapshots/{snapshot}"


def is_snapshot_key(key: str) -> bool:
    """Is it exactly one snapshot object? Nothing else of a repository is ever removed by key."""
    return _SNAPSHOT.fullmatch(key) is not None


def is_in_repository(key: str) -> bool:
    """Is it a part of repositories, or a beginning that would take them along?"""
    return key.startswith(ROOT) or ROOT.startswith(key)


def repository_of(key: str) -> str | None:
    """The prefix of the repository that an object would belong to; None: not of our shape."""
    found = _INSIDE.fullmatch(key)
    return None if found is None else found.group(1)
