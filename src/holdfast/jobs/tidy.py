"""Removing from an addon's repositories what no snapshot needs any more.

It is an operation of the addon, so no snapshot is being written meanwhile. A restore of another
addon may be reading; then it is left for later.
"""

from collections.abc import Collection

from pydantic import BaseModel

from holdfast.catalog import repositories, restores
from holdfast.catalog.schema import Repository
from holdfast.catalog.session import WriteSession
from holdfast.domain.units import show_bytes
from holdfast.jobs.step import Plan, Step
from holdfast.jobs.toolbox import Job
from holdfast.repositories.restic.locks import drop_dead, exclusively
from holdfast.repositories.restic.pruning import Doomed, prune

LATER_MS = 3_600_000


class TidyRecord(BaseModel):
    """Did it have the repository to itself?"""

    done: bool = False


def _row(job: Job) -> Repository:
    with job.tools.catalog.read() as session:
        return repositories.get(session, int(str(job.arguments["repository"])))


def tidy(job: Job, record: TidyRecord) -> TidyRecord:
    row = _row(job)
    with job.tools.catalog.read() as session:
        read = restores.reading(session, row.addon_pk)
    if read:
        _unlock(job, row)
        job.say("a restore is reading from this repository; left for later")
        return record
    repository = job.tools.vaults.of_row(row)
    with exclusively(repository, job.tools.clock.now() * 1_000_000, job.sign):
        pruned = prune(repository, job.moved, Doomed(row.doomed or (), lambda p: _doom(job, p)))
    job.say(
        f"{pruned.packs} packs with {show_bytes(pruned.bytes)} removed,"
        f" {pruned.repacked} of them written anew without what nobody needs"
    )
    return record.model_copy(update={"done": True})


def _doom(job: Job, packs: Collection[str]) -> None:
    """From this row on nothing new relies on these packs, whoever removes them, and when."""

    def write(session: WriteSession) -> None:
        repositories.get(session, int(str(job.arguments["repository"]))).doomed = list(packs)

    job.change(write)


def _unlock(job: Job, row: Repository) -> None:
    if job.inherits:
        drop_dead(job.tools.vaults.of_row(row), job.sign)


def publish(session: WriteSession, job: Job, record: TidyRecord) -> None:
    row = repositories.get(session, int(str(job.arguments["repository"])))
    now = job.tools.clock.now()
    row.tidy_due = None if record.done else now + LATER_MS
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
