"""Copies a snapshot into another repository: sealed anew, never compressed anew.

Blob ids are hashes of the plain bytes, so what the other repository has already is not sent.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.repositories.restic.format.pack import BlobType
from holdfast.repositories.restic.read.reading import Moved, fetch
from holdfast.repositories.restic.repository import Repository
from holdfast.repositories.restic.write.packer import Packer


@dataclass(frozen=True)
class Sent:
    """What was new to the target: stored bytes, and the packs they are in."""

    added: int
    packs: list[str]


def send(source: Repository, tree: str, target: Repository, moved: Moved) -> Sent:
    """Every blob that the tree needs is in `target` on return, and listed there.

    `moved` hears the stored bytes sent, and may raise to stop.
    """
    target.require_writable()
    packer = Packer(target.objects, target.key, target.index)
    wanted = (
        source.place(blob, kind)
        for kind, blob in needed(source, tree, set())
        if not packer.has(kind, blob)
    )
    for place, sealed in fetch(source, wanted):
        entry = place.entry
        if packer.has(entry.type, entry.id):
            continue
        source.plain(place, sealed)  # proven before it is passed on
        anew = target.key.seal(source.key.open(sealed))
        packer.adopt(entry.id, entry.type, anew, entry.plain)
        moved(entry.stored)
    packer.flush()
    return Sent(packer.added, packer.packs)


def needed(repository: Repository, tree: str, seen: set[bytes]) -> Iterator[tuple[BlobType, bytes]]:
    """All blobs that a snapshot needs, directories first; some more than once.

    `seen` are directories that were walked before, here or for another snapshot.
    """
    directories = [tree]
    while directories:
        subtree = directories.pop()
        blob = bytes.fromhex(subtree)
        if blob in seen:
            continue
        seen.add(blob)
        yield BlobType.TREE, blob
        for node in repository.nodes(subtree):
            if node.is_directory:
                directories.append(node.subtree)
            for block in node.content:
                yield BlobType.DATA, bytes.fromhex(block)
