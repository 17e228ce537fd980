"""Removes what no snapshot needs. Only while nobody writes: the caller holds that lease.

Order: new packs, the new index, then the old index objects, then the old packs. A kill between any
two leaves a repository that reads well; the next run finishes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from holdfast.domain.errors import ObjectMissing
from holdfast.repositories.restic.copying import needed
from holdfast.repositories.restic.index import Index, Place
from holdfast.repositories.restic.pack import Entry
from holdfast.repositories.restic.packer import Packer
from holdfast.repositories.restic.reading import Moved
from holdfast.repositories.restic.repository import Repository

_KEEP = 0.6
"""A pack of which a smaller share is needed is written anew without the rest."""


@dataclass(frozen=True)
class Pruned:
    """What went. Bytes as stored."""

    packs: int
    bytes: int
    repacked: int


def prune(repository: Repository, moved: Moved) -> Pruned:
    """`moved` hears the stored bytes that were written anew, and may raise to stop."""
    used = {blob for each in repository.snapshots() for blob in needed(repository, each.tree)}
    listing = dict(repository.listing())
    sizes = dict(repository.objects.names("data"))
    sources = _sources(used, listing, sizes)
    kept = {pack: blobs for pack, blobs in sources.items() if _share(blobs, listing[pack]) >= _KEEP}
    doomed = sizes.keys() - kept.keys()
    if not doomed:
        return Pruned(0, 0, 0)
    old = [name for name, _ in repository.objects.names("index")]
    packer = Packer(repository.objects, repository.key, Index())
    for pack in sources.keys() - kept.keys():
        _repack(repository, pack, sources[pack], packer, moved)
    for pack in kept:
        packer.list_again(pack, listing[pack])
    packer.flush()
    for name in old:
        repository.objects.delete("index", name)
    for pack in doomed:
        repository.objects.delete("data", pack)
    repository.reload()
    return Pruned(len(doomed), sum(sizes[pack] for pack in doomed), len(sources) - len(kept))


def _sources(
    used: set[bytes], listing: Mapping[str, list[Entry]], sizes: Mapping[str, int]
) -> dict[str, list[Entry]]:
    """From which pack each blob in use is taken; ObjectMissing when one is in none."""
    sources: dict[str, list[Entry]] = {}
    wanted = set(used)
    for pack, entries in listing.items():
        if pack in sizes:
            found = [entry for entry in entries if entry.id in wanted]
            wanted.difference_update(entry.id for entry in found)
            if found:
                sources[pack] = found
    if wanted:
        raise ObjectMissing(f"{len(wanted)} blobs of snapshots are in no pack; nothing was removed")
    return sources


def _share(part: Iterable[Entry], whole: Iterable[Entry]) -> float:
    return sum(entry.stored for entry in part) / sum(entry.stored for entry in whole)


def _repack(
    repository: Repository, pack: str, entries: Iterable[Entry], packer: Packer, moved: Moved
) -> None:
    for entry in entries:
        end = entry.offset + entry.stored
        sealed = repository.objects.part("data", pack, entry.offset, end)
        repository.plain(Place(pack, entry), sealed)
        packer.adopt(entry.id, entry.type, sealed, entry.plain)
        moved(entry.stored)
