"""Removes what no snapshot needs. Only while nobody writes: the caller holds that lease.

The lease may be lost unnoticed: a worker that is paused between its look and its last removal wakes
up when others have written snapshots. So packs are doomed before anything is removed, in a note
that only who holds the lease can write and that all writers heed: from then on nothing new relies
on them, and no pack is ever stored under the same name again. What goes late harms nobody.

Order: new packs, the new index, then the old index objects, then the old packs. A kill between any
two leaves a repository that reads well; the next run finishes. A reader that loaded the old index
finds its packs until the last step.

What is there is looked at in the order opposite to a writer's (packs, index, snapshots), so what
somebody wrote after the look began is never among what goes.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from holdfast.domain.errors import SealBroken
from holdfast.repositories.restic.format import pack as packs
from holdfast.repositories.restic.format.index import BlobLocation, Index
from holdfast.repositories.restic.read.reading import Moved, fetch
from holdfast.repositories.restic.repository import Repository
from holdfast.repositories.restic.upkeep.mending import spoiled_packs
from holdfast.repositories.restic.write.copying import needed
from holdfast.repositories.restic.write.packer import Packer

_KEEP = 0.6
"""A pack of which a smaller share is needed is written anew without the rest."""


@dataclass(frozen=True)
class Pruned:
    """What went. Bytes as stored. `left` are packs that are needed no more and stay until nobody
    reads; `unreadable` are snapshots of which nobody knows what they need: nothing went for them.
    """

    packs: int
    bytes: int
    repacked: int
    left: int = 0
    unreadable: Sequence[str] = ()


@dataclass(frozen=True)
class Rules:
    """`trees` says, by the names of snapshots that must stay, what each needs, whether its object
    can be read or not. `may_remove` is asked after the new index is there and before packs go:
    who began to read before may still look for them."""

    trees: Mapping[str, str] = field(default_factory=dict[str, str])
    may_remove: Callable[[], bool] = lambda: True


EVERYTHING = Rules()


def _unnoted(packs: Collection[str]) -> None:
    """Nobody else can write to it."""


@dataclass(frozen=True)
class Doomed:
    """Packs that a tidying before this one meant to remove and may still do; how to note all that
    go, before the first of them does. The note raises when the lease is lost."""

    packs: Collection[str] = ()
    note: Callable[[Collection[str]], None] = _unnoted


@dataclass(frozen=True)
class _Found:
    """What is there: sizes of packs, index objects, packs that are as long as the index says."""

    sizes: Mapping[str, int]
    indexes: list[str]
    whole: set[str]


def prune(
    repository: Repository, moved: Moved, rules: Rules = EVERYTHING, before: Doomed = Doomed()
) -> Pruned:
    """`moved` hears the stored bytes that were written anew, and may raise to stop.

    Nothing is removed, and nothing written, when a blob that a snapshot needs is in no pack
    (ObjectMissing) or its pack is damaged (SealBroken), or a snapshot can be read by nobody and
    `rules` do not say what it needs.
    """
    repository.require_writable()
    found = _look(repository)
    readable, broken = repository.readable_snapshots()
    unknown = sorted(broken.keys() - rules.trees.keys())
    if unknown:
        return Pruned(0, 0, 0, unreadable=unknown)
    used = _used(repository, {*rules.trees.values(), *(each.tree for each in readable)})
    shares = _shares(repository.index, used)
    torn = shares.keys() - found.whole
    if torn:
        raise SealBroken(f"pack {min(torn)} is not as long as the index says; nothing was removed")
    kept = {pack for pack, stored in shares.items() if stored >= _KEEP * found.sizes[pack]}
    kept -= frozenset(before.packs)
    doomed = found.sizes.keys() - kept
    if not doomed:
        return Pruned(0, 0, 0)
    before.note(sorted(doomed))
    _write_anew(repository, _moving(repository.index, used, kept), kept, found, moved)
    for name in found.indexes:
        repository.objects.delete("index", name)
    if not rules.may_remove():
        repository.reload()
        return Pruned(0, 0, len(shares) - len(kept), left=len(doomed))
    for pack in doomed:
        repository.objects.delete("data", pack)
    repository.reload()
    removed = sum(found.sizes[pack] for pack in doomed)
    return Pruned(len(doomed), removed, len(shares.keys() - kept))


def _look(repository: Repository) -> _Found:
    """Loads the index anew, of packs that are there."""
    sizes = dict(repository.objects.names("data"))
    names = [name for name, _ in repository.objects.names("index")]
    index, whole = Index(), set[str]()
    for pack, entries in repository.known_packs(names):
        if pack in sizes:
            index.add(pack, entries)
            if packs.size(entries) == sizes[pack]:
                whole.add(pack)
    repository.index = index
    return _Found(sizes, names, whole)


def _used(repository: Repository, trees: Iterable[str]) -> bytearray:
    """One byte for each row of the index: does one of these trees need it?"""
    used, seen = bytearray(len(repository.index)), set[bytes]()
    for tree in sorted(trees):
        for kind, blob in needed(repository, tree, seen):
            used[repository.row(blob, kind)] = 1
    return used


def _shares(index: Index, used: bytearray) -> dict[str, int]:
    """Bytes in use, of each pack that has any."""
    shares: dict[str, int] = {}
    for needs, place in zip(used, index.places(), strict=True):
        if needs:
            shares[place.pack] = shares.get(place.pack, 0) + packs.share(place.entry)
    return shares


def _moving(index: Index, used: bytearray, kept: set[str]) -> Iterator[BlobLocation]:
    """Blobs in use whose packs go."""
    for needs, place in zip(used, index.places(), strict=True):
        if needs and place.pack not in kept:
            yield place


def _write_anew(
    repository: Repository,
    moving: Iterable[BlobLocation],
    kept: set[str],
    found: _Found,
    moved: Moved,
) -> None:
    """New packs for the blobs, and a whole new index."""
    packer = Packer(repository.objects, repository.key, Index())
    for place, sealed in fetch(repository, moving):
        entry = place.entry
        repository.plain(place, sealed)
        packer.adopt(entry.id, entry.type, bytes(sealed), entry.plain)
        moved(entry.stored)
    unlisted = set(kept)
    for pack, entries in repository.known_packs(found.indexes):
        if pack in unlisted and packs.size(entries) == found.sizes[pack]:
            unlisted.remove(pack)
            packer.list_again(pack, entries)
    packer.flush()
    wrong = spoiled_packs(repository, packer.packs, moved)
    if wrong:  # the old ones are still there, and the old index says so
        raise SealBroken(f"{next(iter(wrong.values()))}; nothing was removed")
