"""Opens copies of a snapshot to read from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from holdfast.catalog.schema import Copy
from holdfast.domain.errors import ObjectMissing, SealBroken, StoreRefused, StoreUnavailable
from holdfast.repositories.restic.format.snapshot import Snapshot
from holdfast.repositories.restic.read.reading import Totals, needs, prove
from holdfast.repositories.restic.repository import Repository
from holdfast.repositories.restic.upkeep.mending import missing_packs
from holdfast.usecases.snapshots.snapshot_repositories import snapshot_id

UNUSABLE = (ObjectMissing, SealBroken, StoreUnavailable, StoreRefused)
"""Errors after which another copy of the snapshot is tried."""


@dataclass(frozen=True)
class Source:
    """A copy whose files are all whole, as far as can be known without reading them."""

    copy: Copy
    repository: Repository
    snapshot: Snapshot
    totals: Totals


def source_at(copy: Copy, repository_of: Callable[[Copy], Repository]) -> Source:
    """Opens a copy; raises one of `UNUSABLE` if an object that it needs is missing."""
    repository = repository_of(copy)
    snapshot = repository.snapshot(snapshot_id(copy))
    totals = prove(repository, snapshot.tree)
    if bad := missing_packs(repository):
        problem = lacking(repository, snapshot.tree, bad)
        if problem is not None:
            raise ObjectMissing(problem)
    return Source(copy, repository, snapshot, totals)


def lacking(repository: Repository, tree: str, bad: Mapping[str, str]) -> str | None:
    """A sentence about the first path of a snapshot that needs one of the `bad` packs."""
    for path, pack in needs(repository, tree):
        if pack in bad:
            return f"{path.decode(errors='replace')} needs it, but {bad[pack]}"
    return None
