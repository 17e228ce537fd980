"""Repairs the index of a repository before anything is written to it.

Blocks that an index names are taken for stored. A snapshot that relied on a lost pack would be
damaged from its first day, so the index is mended first; the blocks are then written again, also
for older snapshots that need them. Blocks that a damaged or lost index object named are found in
the headers of the packs.
"""

from holdfast.catalog.storage import repositories, store_contents
from holdfast.catalog.work import chores
from holdfast.jobs.core.job import Job
from holdfast.repositories.restic.locks import exclusively
from holdfast.repositories.restic.repository import Repository
from holdfast.repositories.restic.upkeep.mending import (
    mend,
    missing_packs,
    spoiled_packs,
    unlisted_packs,
)


def make_sound(job: Job, repository: Repository, destination_pk: int | None) -> None:
    """Mends the index if packs are missing or spoiled. Only while holding the addon's slot.

    Damage counts only if a second look finds it as well. Packs that a prune was about to remove are
    not used: an attempt of it that was taken for dead may still remove them, however late.
    """
    with job.tools.catalog.read() as session:
        row = repositories.find(session, job.addon.pk, destination_pk)
        suspects = set((row and row.spoiled) or ())
        doomed = (row and row.doomed) or []
        lacking = row is not None and store_contents.any_lost_in(session, row)
    repository.ignore_packs(doomed)
    regain = lacking and unlisted_packs(repository)
    if not (missing_packs(repository) or suspects or repository.damaged or regain):
        return
    repository.reload()
    spoiled = spoiled_packs(repository, sorted(suspects & repository.packs.keys()), job.moved)
    bad = {**missing_packs(repository), **spoiled}
    if bad or repository.damaged or regain:
        why = [*bad.values(), *repository.damaged.values(), "its index does not name all packs"]
        job.say(f"the repository is damaged ({why[0]}); mending its index first")
        with exclusively(repository, job.tools.clock.now() * 1_000_000, job.sign):
            mended = mend(repository, bad.keys(), job.moved)
        job.say(
            f"the index names {len(mended.dropped)} packs less; {mended.saved} blocks of them were"
            f" saved; {mended.aside} index objects that could not be read were set aside"
        )
        with job.tools.catalog.write() as session:
            chores.ask(session, chores.audit_of(destination_pk), job.tools.clock.now())
    if row is not None and suspects:
        with job.tools.catalog.write() as session:
            repositories.note_spoiled(session, row.pk, {})
