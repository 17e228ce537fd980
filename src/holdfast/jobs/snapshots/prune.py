"""Prunes a repository of an addon: removes the blocks that no snapshot needs.

It is an operation of the addon, so no snapshot is written meanwhile. A restore of another addon, or
a download, may be reading; then the prune is postponed.

Damage is repaired first. An unreadable snapshot object is written again from the catalogue. One
that no backup of ours accounts for may need any block, so nothing is removed while it is there; it
is an open finding, and set aside when it has been one for long.
"""

from collections.abc import Collection

from pydantic import BaseModel

from holdfast.catalog import restores
from holdfast.catalog.database.session import WriteSession
from holdfast.catalog.schema import Repository
from holdfast.catalog.storage import open_downloads, repositories
from holdfast.contracts.job_arguments import PruneArguments
from holdfast.domain.errors import ObjectMissing, SealBroken
from holdfast.domain.units import show_bytes
from holdfast.jobs.core.job import Job
from holdfast.jobs.core.step import Plan, Step
from holdfast.jobs.snapshots import snapshot_objects
from holdfast.jobs.snapshots.index_repair import make_sound
from holdfast.repositories.restic.locks import drop_dead_locks, exclusively
from holdfast.repositories.restic.upkeep.pruning import DoomedPacks, PruneRules, prune

LATER_MS = 3_600_000
DAMAGED_MS = 24 * LATER_MS
"""Pause after damage: a repair, or the expiry of a damaged snapshot, takes more than an hour."""


class PruneRecord(BaseModel):
    """`done`: nothing is left to remove; else the prune is repeated after `later` ms."""

    done: bool = False
    later: int = LATER_MS


def _row(job: Job) -> Repository:
    with job.tools.catalog.read() as session:
        return repositories.get(session, job.parse(PruneArguments).repository_pk)


def prune_repository(job: Job, record: PruneRecord) -> PruneRecord:
    row = _row(job)
    if _is_read(job, row):
        _unlock(job, row)
        job.say("a restore or a download is reading from this repository; left for later")
        return record
    now = job.tools.clock.now()
    try:
        repository, sentences = job.tools.snapshot_repositories.restored(row, now)
        for sentence in sentences:
            job.say(sentence)
        make_sound(job, repository, row.destination_pk)
        with exclusively(repository, now * 1_000_000, job.sign):
            snapshot_objects.repair(job, row, repository)
            rules = PruneRules(snapshot_objects.trees(job, row), lambda: not _is_read(job, row))
            doomed = DoomedPacks(row.doomed or (), lambda packs: _announce_removal(job, packs))
            pruned = prune(repository, job.moved, rules, doomed)
    except (ObjectMissing, SealBroken) as error:
        job.say(f"nothing was removed: {error.message}")
        return record.model_copy(update={"later": DAMAGED_MS})
    for name in pruned.unreadable:
        job.say(
            f"the snapshot {name} cannot be read and is none of ours, so what it needs is not"
            " known; nothing was removed"
        )
    job.say(
        f"{pruned.packs} packs with {show_bytes(pruned.bytes)} removed,"
        f" {pruned.repacked} of them written anew without unneeded blocks"
    )
    later = DAMAGED_MS if pruned.unreadable else LATER_MS
    complete = not (pruned.left or pruned.unreadable)
    return record.model_copy(update={"done": complete, "later": later})


def _is_read(job: Job, row: Repository) -> bool:
    """Whether a restore or download reads a snapshot. Each adds a row before it loads the index."""
    with job.tools.catalog.read() as session:
        return restores.reading(session, row.addon_pk) or open_downloads.any_of(
            session, row.addon_pk
        )


def _announce_removal(job: Job, packs: Collection[str]) -> None:
    """Records the packs to remove, so that no new snapshot relies on them: any attempt may still
    remove them, at any time."""

    def write(session: WriteSession) -> None:
        repositories.get(session, job.parse(PruneArguments).repository_pk).doomed = list(packs)

    job.change(write)


def _unlock(job: Job, row: Repository) -> None:
    if job.inherits:
        drop_dead_locks(job.tools.snapshot_repositories.of_row(row), job.sign)


def publish(session: WriteSession, job: Job, record: PruneRecord) -> None:
    row = repositories.get(session, job.parse(PruneArguments).repository_pk)
    now = job.tools.clock.now()
    row.tidy_due = None if record.done else now + record.later
    if record.done:
        row.tidied, row.doomed = now, None


def clean(job: Job, record: PruneRecord) -> str:  # noqa: ARG001 - a prune that was cut off is sound
    _unlock(job, _row(job))
    return ""


def failed(session: WriteSession, job: Job, record: PruneRecord) -> None:  # noqa: ARG001
    row = repositories.get(session, job.parse(PruneArguments).repository_pk)
    row.tidy_due = job.tools.clock.now() + LATER_MS


PRUNE = Plan(
    record=PruneRecord,
    steps=[Step("tidy", "removing what no snapshot needs", prune_repository)],
    publish=publish,
    clean=clean,
    failed=failed,
)
