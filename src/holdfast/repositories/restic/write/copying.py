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
class CopyResult:
    """Stored bytes that were new to the target, and the packs they are in."""

    added: int
    packs: list[str]


def send(source: Repository, tree: str, target: Repository, moved: Moved) -> CopyResult:
    """Copies every blob that the tree needs and `target` lacks, and lists them there.

    `moved` is called with the stored bytes sent, and may raise to stop.
    """
    target.require_writable()
    packer = Packer(target.objects, target.key, target.index)
    locations = (
        source.locate(blob, kind)
        for kind, blob in needed(source, tree, set())
        if not packer.has(kind, blob)
    )
    for location, sealed in fetch(source, locations):
        entry = location.entry
        if packer.has(entry.type, entry.id):
            continue
        source.plain(location, sealed)  # verified before it is passed on
        anew = target.key.seal(source.key.open(sealed))
        packer.adopt(entry.id, entry.type, anew, entry.plain)
        moved(entry.stored)
    packer.flush()
    return CopyResult(packer.added, packer.packs)


def needed(
    repository: Repository, tree: str, walked: set[bytes]
) -> Iterator[tuple[BlobType, bytes]]:
    """Yields all blobs that a snapshot needs, directories first; some more than once.

    `walked` are directories that were walked before, here or for another snapshot.
    """
    directories = [tree]
    while directories:
        subtree = directories.pop()
        blob = bytes.fromhex(subtree)
        if blob in walked:
            continue
        walked.add(blob)
        yield BlobType.TREE, blob
        for node in repository.nodes(subtree):
            if node.is_directory:
                directories.append(node.subtree)
            for block in node.content:
                yield BlobType.DATA, bytes.fromhex(block)
