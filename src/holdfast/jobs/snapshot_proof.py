"""The proof of what was written to a repository."""

import hashlib

from holdfast.domain.evidence import Check
from holdfast.domain.units import show_bytes
from holdfast.jobs.toolbox import Job
from holdfast.repositories.restic.repository import Repository


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
