"""Verifies packs, and rebuilds the index so that it names whole packs only.

An index that names a missing or damaged pack is worse than none: writers take its blobs for stored,
so every later snapshot that needs them is damaged as well. With a mended index, blocks that a
writer or a copy stores afterwards fill the gap for all snapshots that need them.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from holdfast.domain.errors import ObjectMissing, SealBroken
from holdfast.repositories.restic.format import pack as packs
from holdfast.repositories.restic.format.index import BlobLocation, Index
from holdfast.repositories.restic.read.reading import Moved
from holdfast.repositories.restic.repository import Repository
from holdfast.repositories.restic.write.packer import Packer


@dataclass(frozen=True)
class MendResult:
    """Packs dropped from the index, blobs saved from them, and index objects set aside."""

    dropped: list[str]
    saved: int
    aside: int = 0


def missing_packs(repository: Repository) -> dict[str, str]:
    """Returns packs that the index names and the store lacks or has cut short, with sentences."""
    sizes = dict(repository.objects.names("data"))
    bad: dict[str, str] = {}
    for name, size in repository.packs.items():
        if name not in sizes:
            bad[name] = f"pack {name} is missing"
        elif sizes[name] < size:
            bad[name] = f"pack {name} is cut off at {sizes[name]} bytes"
    return bad


def spoiled_packs(repository: Repository, names: Iterable[str], moved: Moved) -> dict[str, str]:
    """Reads these packs whole, and returns damaged ones with a sentence each.

    A bad pack is read twice: a wire can turn a bit as well. `moved` is called with bytes read.
    """
    bad: dict[str, str] = {}
    for name in names:
        problem = _damage(repository, name, moved) and _damage(repository, name, moved)
        if problem:
            bad[name] = problem
    return bad


def _damage(repository: Repository, name: str, moved: Moved) -> str | None:
    digest = hashlib.sha256()
    try:
        for chunk in repository.objects.stream("data", name):
            digest.update(chunk)
            moved(len(chunk))
    except ObjectMissing:
        return f"pack {name} is missing"
    return None if digest.hexdigest() == name else f"pack {name} is not what was written"


def mend(repository: Repository, spoiled: Collection[str], moved: Moved) -> MendResult:
    """Writes a new index of all whole packs, and of these only. The caller writes alone.

    Packs that no readable index object names are listed by their own headers. Blobs of `spoiled`
    packs that are still right are stored anew. When killed, it leaves an index that names too
    much, which the next run corrects. Packs stay: prune removes unreferenced ones, and nothing
    while a snapshot lacks a block.
    """
    repository.require_writable()
    sizes = dict(repository.objects.names("data"))
    indexes = [name for name, _ in repository.objects.names("index")]
    packer = Packer(repository.objects, repository.key, Index())
    dropped, visited = list[str](), set[str]()
    for name, entries in _all_packs(repository, indexes, moved):
        if name in visited:
            continue
        visited.add(name)
        if name not in spoiled and sizes.get(name, 0) >= packs.size(entries):
            packer.list_pack(name, entries)
            continue
        dropped.append(name)
        for entry in entries if name in sizes else ():
            end = entry.offset + entry.stored
            try:
                sealed = repository.objects.part("data", name, entry.offset, end)
                repository.plain(BlobLocation(name, entry), sealed)
            except (ObjectMissing, SealBroken):
                continue
            packer.adopt(entry.id, entry.type, sealed, entry.plain)
            moved(entry.stored)
    packer.flush()
    broken = {name for kind, name in repository.damaged if kind == "index"}
    for name in indexes:
        if name in broken:
            repository.objects.set_aside("index", name)
        else:
            repository.objects.delete("index", name)
    repository.reload()
    return MendResult(dropped, packer.new, len(broken))


def unlisted_packs(repository: Repository) -> bool:
    """Tells whether the index lacks stored packs: those of a dead writer, or of a lost index."""
    return any(name not in repository.packs for name, _ in repository.objects.names("data"))


def _all_packs(
    repository: Repository, indexes: Sequence[str], moved: Moved
) -> Iterator[tuple[str, list[packs.Entry]]]:
    """Yields packs that readable index objects name, then whole packs that none of them names.

    The latter are read, because an earlier run may have dropped them for being spoiled.
    """
    listed = set[str]()
    for name, entries in repository.listing(indexes):
        listed.add(name)
        yield name, entries
    for name, entries in repository.unlisted(listed):
        if not spoiled_packs(repository, [name], moved):
            yield name, entries
