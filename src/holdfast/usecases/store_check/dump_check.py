"""Checks that a stored dump is still what was written, by reading every object to its end.

A store lists an object with its full size long after a bit of it flipped, so names and sizes prove
nothing about bytes. The digests come from the evidence that made the backup `completed`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from holdfast.catalog.schema import Document
from holdfast.contracts.store import ObjectStore
from holdfast.domain.artifact import MANIFEST
from holdfast.domain.errors import EvidenceMissing, ObjectMissing
from holdfast.pipeline.digest import Digest

Moved = Callable[[int], None]


@dataclass(frozen=True)
class Written:
    """One object of a dump as it was proven: its name and the hex sha256 of its bytes."""

    name: str
    sha256: str


def written(evidence: Document) -> Iterator[Written]:
    """The objects of a dump, the manifest first: without it the others are leftovers."""
    try:
        yield Written(MANIFEST, str(evidence["manifestSha256"]))
        for member in evidence["members"]:
            yield Written(str(member["key"]), str(member["stored_sha256"]))
    except KeyError as error:
        raise EvidenceMissing(f"its evidence has no {error}, so its bytes prove nothing") from None


def flaw(store: ObjectStore, prefix: str, evidence: Document, moved: Moved) -> str | None:
    """The problem of the dump under `prefix`; None: every byte is as it was written.

    An object with a problem is read once more, because a wire can flip a bit as well. `moved` is
    told the bytes read and may raise to stop. Raises StoreUnavailable and similar errors when the
    state cannot be found out.
    """
    for item in written(evidence):
        key = f"{prefix}{item.name}"
        problem = _flaw(store, key, item.sha256, moved) and _flaw(store, key, item.sha256, moved)
        if problem is not None:
            return problem
    return None


def _flaw(store: ObjectStore, key: str, sha256: str, moved: Moved) -> str | None:
    digest = Digest()
    try:
        for chunk in store.get(key):
            digest.feed(chunk)
            moved(len(chunk))
    except ObjectMissing:
        return f"{key} is missing"
    return None if digest.hexdigest == sha256 else f"{key} is not what was written"
