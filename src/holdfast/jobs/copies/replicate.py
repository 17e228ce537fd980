"""Replicates a snapshot to an additional destination: find, send, check, seal.

Blocks of the platform's repository are sealed anew for the other repository and sent; they are
neither read from the database nor compressed again. The copy has a status of its own: one that
fails is retried and does not change the backup's.
"""

from pydantic import BaseModel

from holdfast.catalog.database.session import WriteSession
from holdfast.catalog.schema import Copy
from holdfast.catalog.storage import copies
from holdfast.contracts.job_arguments import CopyArguments
from holdfast.domain.errors import ObjectMissing
from holdfast.domain.snapshot import snapshot_key
from holdfast.domain.units import show_bytes
from holdfast.jobs.core.job import Job
from holdfast.jobs.core.step import Plan, Step
from holdfast.jobs.dumps.proof import require
from holdfast.jobs.snapshots import proof
from holdfast.jobs.snapshots.index_repair import make_sound
from holdfast.repositories.restic.locks import drop_dead_locks, shared
from holdfast.repositories.restic.read.reading import Totals
from holdfast.repositories.restic.repository import Repository
from holdfast.repositories.restic.write.copying import send


class CopyRecord(BaseModel):
    """Results of the steps. Sizes in bytes; `packs` were written by this attempt; `checked` is when
    the reading back of a dump began."""

    source_pk: int = 0
    snapshot: str = ""
    tree: str = ""
    prefix: str = ""
    files: int = 0
    size: int = 0
    packs: list[str] = []
    copied: str = ""
    checked: int = 0


def copy_of(job: Job) -> Copy:
    """The copy that the job makes."""
    with job.tools.catalog.read() as session:
        copy = copies.get(session, job.parse(CopyArguments).copy_pk)
    if copy is None:
        raise ObjectMissing("the copy's row is gone")
    return copy


def target(job: Job) -> Repository:
    return job.repository(copy_of(job).destination_pk)


def _source(job: Job, record: CopyRecord) -> Repository:
    with job.tools.catalog.read() as session:
        copy = copies.get(session, record.source_pk)
    if copy is None:
        raise ObjectMissing("the copy to read from is gone")
    return job.repository_of(copy)  # as it is: a snapshot may be writing to it


def find(job: Job, record: CopyRecord) -> CopyRecord:
    """Picks the first good copy as the source."""
    source = next(proof.sources(job, copy_of(job).backup_pk))
    update = {
        "source_pk": source.copy.pk,
        "snapshot": source.snapshot.id,
        "tree": source.snapshot.tree,
        "files": source.totals.files,
        "size": source.totals.size,
    }
    return record.model_copy(update=update)


def copy(job: Job, record: CopyRecord) -> CopyRecord:
    into = target(job)
    make_sound(job, into, copy_of(job).destination_pk)
    source = _source(job, record)
    job.guard.watch_for_stall(on=True)
    now = job.tools.clock.now() * 1_000_000
    try:
        with shared(source, now, job.sign), shared(into, now, job.sign):
            sent = send(source, record.tree, into, job.moved)
    finally:
        job.guard.watch_for_stall(on=False)
    job.say(f"{show_bytes(sent.added)} were new to the destination")
    return record.model_copy(update={"prefix": into.objects.prefix, "packs": sent.packs})


def check(job: Job, record: CopyRecord) -> CopyRecord:
    into = target(job)
    totals = Totals(record.files, record.size)
    new = proof.read_back(job, into, record.packs)
    require([new, proof.whole(into, record.tree, totals)])
    return record


def seal(job: Job, record: CopyRecord) -> CopyRecord:
    name = target(job).keep(_source(job, record).snapshot(record.snapshot).as_copy())
    return record.model_copy(update={"copied": name})


def publish(session: WriteSession, job: Job, record: CopyRecord) -> None:
    row = copies.get(session, job.parse(CopyArguments).copy_pk)
    if row is None:
        raise ObjectMissing("the copy's row is gone")
    row.objects = snapshot_key(record.prefix, record.copied)
    row.size = record.size
    row.reason, row.next_try = None, None


def clean(job: Job, record: CopyRecord) -> str:
    if record.copied:
        target(job).forget(record.copied)
    unlock(job, record)
    return ""


def failed(session: WriteSession, job: Job, record: CopyRecord) -> None:  # noqa: ARG001
    copies.try_later(session, job.parse(CopyArguments).copy_pk, job.tools.clock.now())


def unlock(job: Job, record: CopyRecord) -> None:
    """Drops the locks that a dead attempt left in both repositories."""
    if job.inherits and record.source_pk:
        for repository in (_source(job, record), target(job)):
            drop_dead_locks(repository, job.sign)


REPLICATE = Plan(
    record=CopyRecord,
    steps=[
        Step("find", "looking for a copy to read from", find),
        Step("copy", "sending what the destination lacks", copy),
        Step("check", "reading back and checking", check),
        Step("seal", "writing the snapshot", seal),
    ],
    publish=publish,
    clean=clean,
    failed=failed,
)
