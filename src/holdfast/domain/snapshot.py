"""Snapshots: sizes of their blocks, names of their objects, and reading packs in rounds."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_GIB = 1 << 30

WHOLE_BLOCK = 1 << 20
"""Bytes per block of files that change as a whole: smaller blocks would only be more."""

PAGES_DIRECTORY = "data"
MANIFEST = "holdfast/manifest.json"
ARCHIVE_KEY = "holdfast/archive-key.txt"
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
"""Points of the circle that pack names, being hashes, are spread over evenly. Reading goes around
it, so every pack that existed when a round began has been read when the round ends."""


@dataclass(frozen=True)
class Stretch:
    """An arc of the circle of pack names, starting at `begin`."""

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
    """The stretch to read after `elapsed_ms` so that a round takes `round_ms`; 0: nothing."""
    if round_ms <= 0:
        return Stretch(begin, 0)
    return Stretch(begin, min(CIRCLE, -(-CIRCLE * max(0, elapsed_ms) // round_ms)))


def marks_after(marks: Sequence[Sequence[int]], length: int, now: int) -> list[list[int]]:
    """The latest stretches that make up one round, oldest first, as [length, when read]. Older ones
    have been read again since, so they are dropped."""
    latest = [[int(mark[0]), int(mark[1])] for mark in marks]
    if length > 0:
        latest.append([length, now])
    while latest and sum(stretch[0] for stretch in latest[1:]) >= CIRCLE:
        latest.pop(0)
    return latest


def snapshot_key(prefix: str, snapshot: str) -> str:
    """The key of a snapshot object; without the object there is no such snapshot."""
    return f"{prefix}snapshots/{snapshot}"


def is_snapshot_key(key: str) -> bool:
    """Whether it is the key of one snapshot object, the only object ever deleted by key."""
    return _SNAPSHOT.fullmatch(key) is not None


def is_in_repository(key: str) -> bool:
    """Whether the key, used as a prefix, lies in a repository or covers repositories."""
    return key.startswith(ROOT) or ROOT.startswith(key)


def repository_of(key: str) -> str | None:
    """The prefix of the repository that a key belongs to by its shape; None: no repository."""
    match = _INSIDE.fullmatch(key)
    return None if match is None else match.group(1)
