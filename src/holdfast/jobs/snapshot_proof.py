"""The proof of what a repository holds, for who wrote to it and for who is about to rely on it."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from holdfast.catalog import copies, destinations
from holdfast.catalog.schema import Copy
from holdfast.domain.errors import (
    ObjectMissing,
    RestoreDiffers,
    SealBroken,
    StoreRefused,
    StoreUnavailable,
)
from holdfast.domain.evidence import Check
from holdfast.domain.units import show_bytes
from holdfast.jobs import custody
from holdfast.jobs.toolbox import Job
from holdfast.jobs.vaults import snapshot_id
from holdfast.repositories.restic.mending import missing_packs, spoiled_packs
from holdfast.repositories.restic.reading import Totals, needs, prove
from holdfast.repositories.restic.repository import Repository, Snapshot


def read_back(job: Job, repository: Repository, packs: list[str]) -> Check:
    """Every new pack as the store gives it back: its name is the sha256 of what was written."""
    size = 0
    for name in packs:
        digest = hashlib.sha256()
        for chunk in repository.objects.stream("data", name):
            job.guard.check()
            digest.update(chunk)
            size += len(chunk)
        if digest.hexdigest() != name:
            return Check("new packs read back", False, f"pack {name} is not what was written")
    return Check("new packs read back", True, f"{len(packs)} packs, {show_bytes(size)}")


def whole(repository: Repository, tree: str, wanted: Totals) -> Check:
    """Every block of every file is in a pack that the stored index names and the store holds."""
    name = "every file is whole"
    repository.reload()  # what was written is judged, not what is remembered
    found = prove(repository, tree)
    if bad := missing_packs(repository):
        problem = custody.lacking(repository, tree, bad)
        if problem is not None:
            return Check(name, False, problem)
    return Check(name, found == wanted, f"{found.files} files, {found.size} bytes")


def read_all(job: Job, repository: Repository, tree: str) -> Check:
    """Every pack that a snapshot needs, read whole."""
    names = sorted({pack for _, pack in needs(repository, tree)})
    bad = spoiled_packs(repository, names, job.moved)
    told = next(iter(bad.values()), f"{len(names)} packs")
    return Check("all packs read back", not bad, told)


UNUSABLE = (ObjectMissing, SealBroken, StoreUnavailable, StoreRefused)
"""What keeps a copy from being read; another one may do."""


@dataclass(frozen=True)
class Source:
    """A copy whose every file is whole, as far as can be known without reading them."""

    copy: Copy
    repository: Repository
    snapshot: Snapshot
    totals: Totals


def sources(job: Job, backup_pk: int) -> Iterator[Source]:
    """Copies of a snapshot that can be read, the platform's own first.

    The log says what is wrong with the others. RestoreDiffers when there is none.
    """
    with job.tools.catalog.read() as session:
        held = copies.of_backups(session, [backup_pk])[backup_pk]
        places = {copy.destination_pk for copy in held if copy.destination_pk}
        names = destinations.ids_of(session, places)
        session.expunge_all()
    problem, found = "no copy of this snapshot is there any more", False
    for copy in copies.readable(held):
        try:
            source = source_at(copy, job.repository_of)
        except UNUSABLE as error:
            problem = f"the copy {_where(copy, names)} cannot be used: {error.message}"
            job.say(problem)
        else:
            found = True
            yield source
    if not found:
        raise RestoreDiffers(problem)


def _where(copy: Copy, names: dict[int, str]) -> str:
    place = copy.destination_pk
    return "in the platform's store" if place is None else f"at {names.get(place, '?')}"


def source_at(copy: Copy, repository_of: Callable[[Copy], Repository]) -> Source:
    """One of `UNUSABLE` when something that it needs is not there."""
    repository = repository_of(copy)
    snapshot = repository.snapshot(snapshot_id(copy))
    totals = prove(repository, snapshot.tree)
    if bad := missing_packs(repository):
        problem = custody.lacking(repository, snapshot.tree, bad)
        if problem is not None:
            raise ObjectMissing(problem)
    return Source(copy, repository, snapshot, totals)
