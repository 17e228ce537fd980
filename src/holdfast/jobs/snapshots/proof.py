"""Proof of a repository's content, after writing to it and before relying on it."""

import hashlib
from collections.abc import Iterator

from holdfast.catalog import destinations
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
from holdfast.usecases.snapshots.snapshot_sources import UNUSABLE, Source, lacking, source_at


def read_back(job: Job, repository: Repository, packs: list[str]) -> Check:
    """Reads every new pack back: its name is the sha256 of what was written."""
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


def whole(repository: Repository, tree: str, expected: Totals) -> Check:
    """Checks that every block of every file is in a pack that the stored index names."""
    name = "every file is whole"
    repository.reload()  # check the stored index, not the one in memory
    totals = prove(repository, tree)
    if bad := missing_packs(repository):
        problem = lacking(repository, tree, bad)
        if problem is not None:
            return Check(name, False, problem)
    return Check(name, totals == expected, f"{totals.files} files, {totals.size} bytes")


def read_all(job: Job, repository: Repository, tree: str) -> Check:
    """Reads every pack that a snapshot needs in whole."""
    names = sorted({pack for _, pack in needs(repository, tree)})
    bad = spoiled_packs(repository, names, job.moved)
    text = next(iter(bad.values()), f"{len(names)} packs")
    return Check("all packs read back", not bad, text)


def sources(job: Job, backup_pk: int) -> Iterator[Source]:
    """The readable copies of a snapshot, the platform's own first; the log names the problems of
    the others. RestoreDiffers if there is none."""
    with job.tools.catalog.read() as session:
        candidates = copies.of_backups(session, [backup_pk])[backup_pk]
        destination_pks = {copy.destination_pk for copy in candidates if copy.destination_pk}
        names = destinations.ids_of(session, destination_pks)
        session.expunge_all()
    problem, usable = "no copy of this snapshot is there any more", False
    for copy in copies.readable(candidates):
        try:
            source = source_at(copy, job.repository_of)
        except UNUSABLE as error:
            at = f"at {names.get(copy.destination_pk, '?')}" if copy.destination_pk else ""
            location = at or "in the platform's store"
            problem = f"the copy {location} cannot be used: {error.message}"
            job.say(problem)
        else:
            usable = True
            yield source
    if not usable:
        raise RestoreDiffers(problem)
