"""Removing from an addon's repositories what no snapshot needs any more.

It is an operation of the addon, so no snapshot is being written meanwhile. A restore of another
addon, or a download, may be reading; then it is left for later.

Damage is put right first. A snapshot object that cannot be read is made anew from what the
catalogue knows of it. One that no backup of ours accounts for may need any block, so nothing is
removed while it is there; it is an open finding, and set aside when it has been one for long.
"""

from collections.abc import Collection

from pydantic import BaseModel

from holdfast.catalog import restores
from holdfast.catalog.database.session import WriteSession
from holdfast.catalog.schema import Repository
from holdfast.catalog.storage import open_downloads, repositories
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
"""A snapshot that lacks a block may be repaired, or expires: not from one hour to the next."""


class TidyRecord(BaseModel):
    """Is there nothing left to do? Else it is tried again so many ms later."""

    done: bool = False
    later: int = LATER_MS


def _row(job: Job) -> Repository:
    with job.tools.catalog.read() as session:
        return repositories.get(session, int(str(job.arguments["repository"])))


def tidy(job: Job, record: TidyRecord) -> TidyRecord:
    row = _row(job)
    if _is_read(job, row):
        _unlock(job, row)
        job.say("a restore or a download is reading from this repository; left for later")
        return record
    try:
        return _tidy(job, row, record)
    except (ObjectMissing, SealBroken) as error:
        job.say(f"nothing was removed: {error.message}")
        return record.model_copy(update={"later": DAMAGED_MS})


def _tidy(job: Job, row: Repository, record: TidyRecord) -> TidyRecord:
    now = job.tools.clock.now()
    repository, said = job.tools.snapshot_repositories.restored(row, now)
    for sentence in said:
        job.say(sentence)
    make_sound(job, repository, row.destination_pk)
    with exclusively(repository, now * 1_000_000, job.sign):
        snapshot_objects.make_right(job, row, repository)
        rules = PruneRules(snapshot_objects.trees(job, row), lambda: not _is_read(job, row))
        doomed = DoomedPacks(row.doomed or (), lambda packs: _doom(job, packs))
        pruned = prune(repository, job.moved, rules, doomed)
    for name in pruned.unreadable:
        job.say(
            f"the snapshot {name} cannot be read and is none of ours, so nobody knows what it"
            " needs; nothing was removed"
        )
    job.say(
        f"{pruned.packs} packs with {show_bytes(pruned.bytes)} removed,"
        f" {pruned.repacked} of them written anew without what nobody needs"
    )
    later = DAMAGED_MS if pruned.unreadable else LATER_MS
    done = not (pruned.left or pruned.unreadable)
    return record.model_copy(update={"done": done, "later": later})


def _is_read(job: Job, row: Repository) -> bool:
    """Whoever reads says so in a row before he loads the index."""
    with job.tools.catalog.read() as session:
        return restores.reading(session, row.addon_pk) or open_downloads.any_of(
            session, row.addon_pk
        )


def _doom(job: Job, packs: Collection[str]) -> None:
    """From this row on nothing new relies on these packs, whoever removes them, and when."""

    def write(session: WriteSession) -> None:
        repositories.get(session, int(str(job.arguments["repository"]))).doomed = list(packs)

    job.change(write)


def _unlock(job: Job, row: Repository) -> None:
    if job.inherits:
        drop_dead_locks(job.tools.snapshot_repositories.of_row(row), job.sign)


def publish(session: WriteSession, job: Job, record: TidyRecord) -> None:
    row = repositories.get(session, int(str(job.arguments["repository"])))
    now = job.tools.clock.now()
    row.tidy_due = None if record.done else now + record.later
    if record.done:
        row.tidied, row.doomed = now, None


def clean(job: Job, record: TidyRecord) -> str:  # noqa: ARG001 - a prune that was cut off is sound
    _unlock(job, _row(job))
    return ""


def failed(session: WriteSession, job: Job, record: TidyRecord) -> None:  # noqa: ARG001
    row = repositories.get(session, int(str(job.arguments["repository"])))
    row.tidy_due = job.tools.clock.now() + LATER_MS


TIDY = Plan(
    record=TidyRecord,
    steps=[Step("tidy", "removing what no snapshot needs", tidy)],
    publish=publish,
    clean=clean,
    failed=failed,
)
