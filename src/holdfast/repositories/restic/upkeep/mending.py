"""Reads packs to prove them, and makes the index say what is really there.

An index that names a pack which is gone or damaged is worse than none: writers take its blobs for
stored, so every later snapshot that needs them is damaged as well. A mended index names whole packs
only; what a writer or a copy sends afterwards fills the gap for all snapshots that need it.
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
class Mended:
    """Packs that the index names no more, and blobs of them that could be saved; index objects
    that could not be read were set aside."""

    dropped: list[str]
    saved: int
    aside: int = 0


def missing_packs(repository: Repository) -> dict[str, str]:
    """Packs that the index names and the store lacks or holds too short, with what is wrong."""
    sizes = dict(repository.objects.names("data"))
    bad: dict[str, str] = {}
    for name, size in repository.packs.items():
        if name not in sizes:
            bad[name] = f"pack {name} is missing"
        elif sizes[name] < size:
            bad[name] = f"pack {name} is cut off at {sizes[name]} bytes"
    return bad


def spoiled_packs(repository: Repository, names: Iterable[str], moved: Moved) -> dict[str, str]:
    """Reads these packs whole: those that are not what was written, with what is wrong.

    What is odd is read once more: a wire can turn a bit as well. `moved` hears the bytes read.
    """
    bad: dict[str, str] = {}
    for name in names:
        problem = _flaw(repository, name, moved) and _flaw(repository, name, moved)
        if problem:
            bad[name] = problem
    return bad


def _flaw(repository: Repository, name: str, moved: Moved) -> str | None:
    digest = hashlib.sha256()
    try:
        for chunk in repository.objects.stream("data", name):
            digest.update(chunk)
            moved(len(chunk))
    except ObjectMissing:
        return f"pack {name} is missing"
    return None if digest.hexdigest() == name else f"pack {name} is not what was written"


def mend(repository: Repository, spoiled: Collection[str], moved: Moved) -> Mended:
    """A new index of all whole packs, and of these only. Nobody else may write meanwhile.

    What no readable index object names is listed by its own header. Blobs of `spoiled` packs that
    are still right are stored anew. Killed on the way it leaves an index that says more than it
    should, which the next run puts right. Packs stay where they are: tidying removes those that
    nobody needs, and nothing while a snapshot lacks a block.
    """
    repository.require_writable()
    sizes = dict(repository.objects.names("data"))
    indexes = [name for name, _ in repository.objects.names("index")]
    packer = Packer(repository.objects, repository.key, Index())
    dropped, seen = list[str](), set[str]()
    for name, entries in _everything(repository, indexes, moved):
        if name in seen:
            continue
        seen.add(name)
        if name not in spoiled and sizes.get(name, 0) >= packs.size(entries):
            packer.list_again(name, entries)
            continue
        dropped.append(name)
        if name in sizes:
            _save(repository, packer, (BlobLocation(name, entry) for entry in entries), moved)
    packer.flush()
    broken = {name for kind, name in repository.damaged if kind == "index"}
    for name in indexes:
        if name in broken:
            repository.objects.set_aside("index", name)
        else:
            repository.objects.delete("index", name)
    repository.reload()
    return Mended(dropped, packer.new, len(broken))


def unlisted_packs(repository: Repository) -> bool:
    """Are there packs that the index does not name? Of a writer that died, or of a lost index."""
    return any(name not in repository.packs for name, _ in repository.objects.names("data"))


def _everything(
    repository: Repository, indexes: Sequence[str], moved: Moved
) -> Iterator[tuple[str, list[packs.Entry]]]:
    """What readable index objects name, and whole packs that none of them does: these are read,
    because what an index names no more may have been dropped for being spoiled."""
    seen = set[str]()
    for name, entries in repository.listing(indexes):
        seen.add(name)
        yield name, entries
    for name, entries in repository.unlisted(seen):
        if not spoiled_packs(repository, [name], moved):
            yield name, entries


def _save(
    repository: Repository, packer: Packer, places: Iterator[BlobLocation], moved: Moved
) -> None:
    for place in places:
        entry = place.entry
        end = entry.offset + entry.stored
        try:
            sealed = repository.objects.part("data", place.pack, entry.offset, end)
            repository.plain(place, sealed)
        except (ObjectMissing, SealBroken):
            continue
        packer.adopt(entry.id, entry.type, sealed, entry.plain)
        moved(entry.stored)
