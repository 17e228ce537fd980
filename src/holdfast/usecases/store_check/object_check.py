"""Compares the dumps in a store with the catalogue, a few hundred attempts at a time.

The store is listed before the rows are read. That an operation is over, which attempt it published
and that a copy is gone never change again, so the proof cannot become outdated.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import merge
from itertools import groupby

from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.storage import findings, store_contents
from holdfast.catalog.storage.findings import Sighting
from holdfast.contracts.store import ObjectStore, Stat
from holdfast.domain.retention.store_check import (
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
    """The objects of one attempt, or objects of another shape in one folder."""

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
    """Groups all objects and unfinished uploads under our root, in the order of their keys."""

    def prefix_of(entry: tuple[str, Stat, bool]) -> str:
        spot = spot_of(entry[0])
        return neighbourhood(entry[0]) if spot is None else spot.prefix

    visible = ((stat.key, stat, True) for stat in store.list(ROOT))
    unfinished = ((stat.key, stat, False) for stat in store.list(ROOT, unfinished=True))
    entries = merge(visible, unfinished, key=lambda entry: entry[0])
    for prefix, members in groupby(entries, key=prefix_of):
        group = Group(prefix, None)
        for key, stat, is_visible in members:
            group.spot = group.spot or spot_of(key)
            group.add(stat, visible=is_visible)
        yield group


@dataclass(slots=True)
class Judged:
    """The results of some groups: keys of whole copies, those of them that were lost before
    (`back`), leftovers with their proofs, and foreign groups with the reasons."""

    whole: list[int] = field(default_factory=list[int])
    back: list[int] = field(default_factory=list[int])
    leftovers: list[tuple[Group, str]] = field(default_factory=list[tuple[Group, str]])
    foreign: list[tuple[Group, str]] = field(default_factory=list[tuple[Group, str]])


def judge(session: ReadSession, destination_pk: int | None, attempts: Sequence[Group]) -> Judged:
    uids = {group.spot.uid for group in attempts if group.spot is not None}
    stored = store_contents.backups_in_store(session, destination_pk, uids)
    judged = Judged()
    for group in attempts:
        backup = stored.get(group.spot.uid) if group.spot else None
        finding = classify(group.spot, backup.recorded if backup else None)
        if finding.kind is Class.LIVE and backup is not None:
            copy = backup.copy
            if copy is None or copy.objects != group.prefix:
                continue  # published by a copy at another destination
            if damage(group.prefix, backup.sizes, group.sizes) is None:
                judged.whole.append(copy.pk)
                if copy.lost is not None and copy.spoiled is None:
                    judged.back.append(copy.pk)
        elif finding.kind is Class.LEFTOVER:
            judged.leftovers.append((group, finding.why))
        elif finding.kind is Class.FOREIGN:
            judged.foreign.append((group, finding.why))
    return judged


class Strangers:
    """Foreign groups merged by folder, so that another installation is one finding."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[Group, str]] = {}

    def add(self, group: Group, why: str, now: int) -> None:
        """Adds a foreign group. Young ones are left out: their row may be about to be restored."""
        if group.oldest > now - YOUNG_MS:
            return
        prefix = neighbourhood(group.prefix)
        total, first = self._found.setdefault(prefix, (Group(prefix, None), why))
        total.objects += group.objects
        total.bytes += group.bytes
        self._found[prefix] = (total, first)

    def report(self, session: WriteSession, destination_pk: int | None, now: int) -> int:
        for prefix, (group, why) in self._found.items():
            reason = f"not ours, so it is left alone: {why}"
            size = group.objects, group.bytes
            findings.report(session, Sighting(destination_pk, FOREIGN, prefix, reason, *size), now)
        return len(self._found)


def report_leftover(
    session: WriteSession, destination_pk: int | None, group: Group, proof: str, now: int
) -> int:
    """Reports a leftover before it is removed; returns the finding's key."""
    sighting = Sighting(destination_pk, LEFTOVER, group.prefix, proof, group.objects, group.bytes)
    return findings.report(session, sighting, now).pk
