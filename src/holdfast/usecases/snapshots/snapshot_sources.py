"""Copies of a snapshot that can be read."""

from collections.abc import Callable
from dataclasses import dataclass

from holdfast.catalog.schema import Copy
from holdfast.domain.errors import ObjectMissing, SealBroken, StoreRefused, StoreUnavailable
from holdfast.repositories.restic.read.reading import Totals, prove
from holdfast.repositories.restic.repository import Repository, Snapshot
from holdfast.repositories.restic.upkeep.mending import missing_packs
from holdfast.usecases.snapshots.snapshot_repositories import snapshot_id
from holdfast.usecases.store_check import snapshot_check

UNUSABLE = (ObjectMissing, SealBroken, StoreUnavailable, StoreRefused)
"""What keeps a copy from being read; another one may do."""


@dataclass(frozen=True)
class Source:
    """A copy whose every file is whole, as far as can be known without reading them."""

    copy: Copy
    repository: Repository
    snapshot: Snapshot
    totals: Totals


def source_at(copy: Copy, repository_of: Callable[[Copy], Repository]) -> Source:
    """One of `UNUSABLE` when something that it needs is not there."""
    repository = repository_of(copy)
    snapshot = repository.snapshot(snapshot_id(copy))
    totals = prove(repository, snapshot.tree)
    if bad := missing_packs(repository):
        problem = snapshot_check.lacking(repository, snapshot.tree, bad)
        if problem is not None:
            raise ObjectMissing(problem)
    return Source(copy, repository, snapshot, totals)
