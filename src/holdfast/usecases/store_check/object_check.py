"""Comparing what a store holds with what the catalogue says, a few hundred attempts at a time.

The listing comes first and the rows are read after it: that an operation is over, which attempt
was published and that a copy is gone never change again, so the proof cannot go stale.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import merge
from itertools import groupby

from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.storage import findings, store_contents
from holdfast.catalog.storage.findings import Sighting
from holdfast.contracts.store import ObjectStore, Stat
from holdfast.domain.store_check import (
    ROOT,
    YOUNG_MS,
    Class,
    Spot,
    classify,
    damage,
    neighbourhood,
    spot_of,
)

FOREIGN, LEFTOVER = "foreign", "leftover"


@dataclass(slots=True)
class Group:
    """The objects of one attempt, or those that are not of our shape and lie together."""

    prefix: str
    spot: Spot | None
    sizes: dict[str, int] = field(default_factory=dict[str, int])
    objects: int = 0
    bytes: int = 0
    oldest: int = 1 << 62

    def add(self, stat: Stat, *, visible: bool) -> None:
        if visible and self.spot is not None:
            self.sizes[stat.key] = stat.size
        self.objects += 1
        self.bytes += stat.size
        self.oldest = min(self.oldest, stat.modified)


def groups(store: ObjectStore) -> Iterator[Group]:
    """Everything under our root, unfinished uploads too, in the order of the keys."""
    visible = ((stat.key, stat, True) for stat in store.list(ROOT))
    unfinished = ((stat.key, stat, False) for stat in store.list(ROOT, unfinished=True))
    found = merge(visible, unfinished, key=lambda each: each[0])
    for prefix, members in groupby(found, key=lambda each: _prefix(each[0])):
        group = Group(prefix, None)
        for key, stat, is_visible in members:
            group.spot = group.spot or spot_of(key)
            group.add(stat, visible=is_visible)
        yield group


def _prefix(key: str) -> str:
    spot = spot_of(key)
    return neighbourhood(key) if spot is None else spot.prefix


@dataclass(slots=True)
class Judged:
    """What became of some groups: copies seen whole, those that were lost before among them,
    leftovers with the proof of each, and what is foreign with the reason."""

    whole: list[int] = field(default_factory=list[int])
    back: list[int] = field(default_factory=list[int])
    leftovers: list[tuple[Group, str]] = field(default_factory=list[tuple[Group, str]])
    foreign: list[tuple[Group, str]] = field(default_factory=list[tuple[Group, str]])


def judge(session: ReadSession, place: int | None, found: Sequence[Group]) -> Judged:
    uids = {group.spot.uid for group in found if group.spot is not None}
    known = store_contents.shelved(session, place, uids)
    judged = Judged()
    for group in found:
        shelved = known.get(group.spot.uid) if group.spot else None
        finding = classify(group.spot, shelved.known if shelved else None)
        if finding.kind is Class.LIVE and shelved is not None:
            _live(judged, group, shelved)
        elif finding.kind is Class.LEFTOVER:
            judged.leftovers.append((group, finding.why))
        elif finding.kind is Class.FOREIGN:
            judged.foreign.append((group, finding.why))
    return judged


def _live(judged: Judged, group: Group, shelved: store_contents.Shelved) -> None:
    copy = shelved.copy
    if copy is None or copy.objects != group.prefix:
        return  # published by a copy elsewhere
    if damage(group.prefix, shelved.sizes, group.sizes) is None:
        judged.whole.append(copy.pk)
        if copy.lost is not None and copy.spoiled is None:
            judged.back.append(copy.pk)


class Strangers:
    """Foreign groups by where they lie, so that another installation is one line, not a million."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[Group, str]] = {}

    def add(self, group: Group, why: str, now: int) -> None:
        """The young ones are not reported yet: their row may be about to be restored."""
        if group.oldest > now - YOUNG_MS:
            return
        prefix = neighbourhood(group.prefix)
        known, first = self._found.setdefault(prefix, (Group(prefix, None), why))
        known.objects += group.objects
        known.bytes += group.bytes
        self._found[prefix] = (known, first)

    def report(self, session: WriteSession, place: int | None, now: int) -> int:
        for prefix, (group, why) in self._found.items():
            reason = f"not ours, so it is left alone: {why}"
            size = group.objects, group.bytes
            findings.report(session, Sighting(place, FOREIGN, prefix, reason, *size), now)
        return len(self._found)


def report_leftover(
    session: WriteSession, place: int | None, group: Group, proof: str, now: int
) -> int:
    """Said before it is done. Returns the finding's key."""
    seen = Sighting(place, LEFTOVER, group.prefix, proof, group.objects, group.bytes)
    return findings.report(session, seen, now).pk
