"""Before anything is written to a repository: does its index name packs that are not there?

What an index names is taken for stored. A snapshot or a copy that relied on a lost pack would be
damaged from its first day, so the index is mended first; what is written then fills the gap, also
for older snapshots that need the same blocks.
"""

from holdfast.catalog import repositories
from holdfast.jobs.toolbox import Job
from holdfast.repositories.restic.locks import exclusively
from holdfast.repositories.restic.mending import mend, missing_packs, spoiled_packs
from holdfast.repositories.restic.repository import Repository


def make_sound(job: Job, repository: Repository, destination_pk: int | None) -> None:
    """Only for who holds the addon's slot. Damage counts when a second look finds it as well.

    What a tidying was about to remove is not relied on: however late it comes to it, perhaps when
    it was long taken for dead, it removes nothing that a snapshot written from now on needs.
    """
    with job.tools.catalog.read() as session:
        row = repositories.find(session, job.addon.pk, destination_pk)
        known = set((row and row.spoiled) or ())
        doomed = (row and row.doomed) or []
    repository.pass_over(doomed)
    if not (missing_packs(repository) or known):
        return
    repository.reload()
    spoiled = spoiled_packs(repository, sorted(known & repository.packs.keys()), job.moved)
    bad = {**missing_packs(repository), **spoiled}
    if bad:
        job.say(f"the repository is damaged ({next(iter(bad.values()))}); mending its index first")
        with exclusively(repository, job.tools.clock.now() * 1_000_000, job.sign):
            mended = mend(repository, bad.keys(), job.moved)
        job.say(
            f"the index names {len(mended.dropped)} packs less;"
            f" {mended.saved} blocks of them were saved"
        )
    if row is not None and known:
        with job.tools.catalog.write() as session:
            repositories.note_spoiled(session, row.pk, {})
