"""Before anything is written to a repository: is its index right?

What an index names is taken for stored. A snapshot or a copy that relied on a lost pack would be
damaged from its first day, so the index is mended first; what is written then fills the gap, also
for older snapshots that need the same blocks. What a damaged or lost index object named is listed
by the headers of the packs themselves.
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
    """Only for who holds the addon's slot. Damage counts when a second look finds it as well.

    What a tidying was about to remove is not relied on: however late it comes to it, perhaps when
    it was long taken for dead, it removes nothing that a snapshot written from now on needs.
    """
    with job.tools.catalog.read() as session:
        row = repositories.find(session, job.addon.pk, destination_pk)
        known = set((row and row.spoiled) or ())
        doomed = (row and row.doomed) or []
        lacking = row is not None and store_contents.any_lost_in(session, row)
    repository.ignore_packs(doomed)
    regain = lacking and unlisted_packs(repository)
    if not (missing_packs(repository) or known or repository.damaged or regain):
        return
    repository.reload()
    spoiled = spoiled_packs(repository, sorted(known & repository.packs.keys()), job.moved)
    bad = {**missing_packs(repository), **spoiled}
    if bad or repository.damaged or regain:
        _mend(job, repository, bad, destination_pk)
    if row is not None and known:
        with job.tools.catalog.write() as session:
            repositories.note_spoiled(session, row.pk, {})


def _mend(
    job: Job, repository: Repository, bad: dict[str, str], destination_pk: int | None
) -> None:
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
