"""Copies a snapshot into another repository: sealed anew, never compressed anew.

Blob ids are hashes of the plain bytes, so what the other repository has already is not sent.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.domain.errors import ObjectMissing
from holdfast.repositories.restic.index import Place
from holdfast.repositories.restic.packer import Packer
from holdfast.repositories.restic.reading import Moved
from holdfast.repositories.restic.repository import Repository


@dataclass(frozen=True)
class Sent:
    """What was new to the target: stored bytes, and the packs they are in."""

    added: int
    packs: list[str]


def send(source: Repository, tree: str, target: Repository, moved: Moved) -> Sent:
    """Every blob that the tree needs is in `target` on return, and listed there.

    `moved` hears the stored bytes sent, and may raise to stop.
    """
    packer = Packer(target.objects, target.key, target.index)
    for blob in needed(source, tree):
        if blob in target.index or blob in packer.pending:
            continue
        place = source.index.find(blob)
        if place is None:
            raise ObjectMissing(f"no pack of the repository holds blob {blob.hex()}")
        _send(source, place, packer)
        moved(place.entry.stored)
    packer.flush()
    return Sent(packer.added, packer.packs)


def _send(source: Repository, place: Place, packer: Packer) -> None:
    entry = place.entry
    sealed = source.objects.part("data", place.pack, entry.offset, entry.offset + entry.stored)
    source.plain(place, sealed)  # proven before it is passed on
    packer.adopt(entry.id, entry.type, packer.key.seal(source.key.open(sealed)), entry.plain)


def needed(repository: Repository, tree: str) -> Iterator[bytes]:
    """The ids of all blobs that a snapshot needs; those of trees included."""
    yield bytes.fromhex(tree)
    for _, node in repository.walk(tree):
        if node.is_directory:
            yield bytes.fromhex(node.subtree)
        for blob in node.content:
            yield bytes.fromhex(blob)
