"""The proof of what a repository holds, for who wrote to it and for who is about to rely on it."""

import hashlib
from collections.abc import Iterator

from holdfast.catalog import destinations
from holdfast.catalog.schema import Copy
from holdfast.catalog.storage import copies
from holdfast.domain.errors import (
    RestoreDiffers,
)
from holdfast.domain.evidence import Check
from holdfast.domain.units import show_bytes
from holdfast.jobs.core.job import Job
from holdfast.repositories.restic.read.reading import Totals, needs, prove
from holdfast.repositories.restic.repository import Repository
from holdfast.repositories.restic.upkeep.mending import missing_packs, spoiled_packs
from holdfast.usecases.snapshots.snapshot_sources import UNUSABLE, Source, source_at
from holdfast.usecases.store_check import snapshot_check


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
        problem = snapshot_check.lacking(repository, tree, bad)
        if problem is not None:
            return Check(name, False, problem)
    return Check(name, found == wanted, f"{found.files} files, {found.size} bytes")


def read_all(job: Job, repository: Repository, tree: str) -> Check:
    """Every pack that a snapshot needs, read whole."""
    names = sorted({pack for _, pack in needs(repository, tree)})
    bad = spoiled_packs(repository, names, job.moved)
    told = next(iter(bad.values()), f"{len(names)} packs")
    return Check("all packs read back", not bad, told)


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
