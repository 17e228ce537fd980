"""Removes blobs that no snapshot needs; the caller holds the lease of the only writer.

The lease may be lost unnoticed: a worker that is paused between listing and its last removal wakes
up when others have written snapshots. So packs are noted as doomed before anything is removed. Only
the holder of the lease can write that note, and all writers heed it: from then on nothing new
relies on these packs, and no pack is ever stored under the same name again. So late removals are
harmless.

Order: new packs, the new index, then the old index objects, then the old packs. A kill between any
two leaves a repository that reads well; the next run finishes. A reader that loaded the old index
finds its packs until the last step.

Packs, index and snapshots are listed in this order, opposite to a writer's, so packs written after
the listing began are never removed.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from holdfast.domain.errors import SealBroken
from holdfast.repositories.restic.format import pack as packs
from holdfast.repositories.restic.format.index import BlobLocation, Index
from holdfast.repositories.restic.read.reading import Moved, fetch
from holdfast.repositories.restic.repository import Repository
from holdfast.repositories.restic.upkeep.mending import spoiled_packs
from holdfast.repositories.restic.write.copying import needed
from holdfast.repositories.restic.write.packer import Packer

_MIN_USED_SHARE = 0.6
"""A pack of which less is needed is written anew without the rest."""


@dataclass(frozen=True)
class PruneResult:
    """Removed packs, stored bytes, and packs written anew.

    `left` are packs that stay until all reading ends; `unreadable` are snapshots whose needs are
    unknown, so that nothing was removed.
    """

    packs: int
    bytes: int
    repacked: int
    left: int = 0
    unreadable: Sequence[str] = ()


@dataclass(frozen=True)
class PruneRules:
    """What a prune must respect.

    `trees` are the trees of snapshots that must stay, by name, in case their objects are
    unreadable. `may_remove` is asked between writing the new index and removing packs: readers
    that began before may still look for them.
    """

    trees: Mapping[str, str] = field(default_factory=dict[str, str])
    may_remove: Callable[[], bool] = lambda: True


NO_RULES = PruneRules()


@dataclass(frozen=True)
class DoomedPacks:
    """Packs that an earlier prune meant to remove and may still remove.

    `note` records all packs that go, before the first of them does; it raises when the lease is
    lost. The default is for a repository without other writers.
    """

    packs: Collection[str] = ()
    note: Callable[[Collection[str]], None] = lambda _: None


@dataclass(frozen=True)
class _Stored:
    """Sizes of stored packs, index objects, and packs that are as long as the index says."""

    sizes: Mapping[str, int]
    indexes: list[str]
    whole: set[str]


def prune(
    repository: Repository,
    moved: Moved,
    rules: PruneRules = NO_RULES,
    before: DoomedPacks = DoomedPacks(),
) -> PruneResult:
    """Removes packs without needed blobs; writes those with few needed blobs anew.

    `moved` is called with stored bytes written anew, and may raise to stop. Nothing is removed or
    written when a needed blob is in no pack (ObjectMissing) or its pack is damaged (SealBroken), or
    a snapshot is unreadable and `rules` do not say what it needs.
    """
    repository.require_writable()
    stored = _load_index(repository)
    readable, broken = repository.readable_snapshots()
    unknown = sorted(broken.keys() - rules.trees.keys())
    if unknown:
        return PruneResult(0, 0, 0, unreadable=unknown)
    used = _used(repository, {*rules.trees.values(), *(snapshot.tree for snapshot in readable)})
    shares: dict[str, int] = {}  # bytes in use, of each pack that has any
    for needed_row, location in zip(used, repository.index.locations(), strict=True):
        if needed_row:
            share = packs.share(location.entry)
            shares[location.pack] = shares.get(location.pack, 0) + share
    torn = shares.keys() - stored.whole
    if torn:
        raise SealBroken(f"pack {min(torn)} is not as long as the index says; nothing was removed")
    staying = {
        pack for pack, share in shares.items() if share >= _MIN_USED_SHARE * stored.sizes[pack]
    }
    staying -= frozenset(before.packs)
    doomed = stored.sizes.keys() - staying
    if not doomed:
        return PruneResult(0, 0, 0)
    before.note(sorted(doomed))
    moving = (
        location
        for needed_row, location in zip(used, repository.index.locations(), strict=True)
        if needed_row and location.pack not in staying
    )
    _write_anew(repository, moving, staying, stored, moved)
    for name in stored.indexes:
        repository.objects.delete("index", name)
    if not rules.may_remove():
        repository.reload()
        return PruneResult(0, 0, len(shares) - len(staying), left=len(doomed))
    for pack in doomed:
        repository.objects.delete("data", pack)
    repository.reload()
    removed = sum(stored.sizes[pack] for pack in doomed)
    return PruneResult(len(doomed), removed, len(shares.keys() - staying))


def _load_index(repository: Repository) -> _Stored:
    """Loads the index anew, without packs that are missing."""
    sizes = dict(repository.objects.names("data"))
    names = [name for name, _ in repository.objects.names("index")]
    index, whole = Index(), set[str]()
    for pack, entries in repository.known_packs(names):
        if pack in sizes:
            index.add(pack, entries)
            if packs.size(entries) == sizes[pack]:
                whole.add(pack)
    repository.index = index
    return _Stored(sizes, names, whole)


def _used(repository: Repository, trees: Iterable[str]) -> bytearray:
    """Returns a byte for each row of the index: 1 if one of these trees needs it."""
    used, walked = bytearray(len(repository.index)), set[bytes]()
    for tree in sorted(trees):
        for kind, blob in needed(repository, tree, walked):
            used[repository.row(blob, kind)] = 1
    return used


def _write_anew(
    repository: Repository,
    moving: Iterable[BlobLocation],
    staying: set[str],
    stored: _Stored,
    moved: Moved,
) -> None:
    """Writes the blobs into new packs, and a whole new index."""
    packer = Packer(repository.objects, repository.key, Index())
    for location, sealed in fetch(repository, moving):
        entry = location.entry
        repository.plain(location, sealed)
        packer.adopt(entry.id, entry.type, bytes(sealed), entry.plain)
        moved(entry.stored)
    unlisted = set(staying)
    for pack, entries in repository.known_packs(stored.indexes):
        if pack in unlisted and packs.size(entries) == stored.sizes[pack]:
            unlisted.remove(pack)
            packer.list_pack(pack, entries)
    packer.flush()
    wrong = spoiled_packs(repository, packer.packs, moved)
    if wrong:  # the old ones are still there, and the old index says so
        raise SealBroken(f"{next(iter(wrong.values()))}; nothing was removed")
