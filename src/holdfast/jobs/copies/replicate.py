"""Copying a snapshot to an additional destination: find, send, check, seal.

One capture feeds every place: what the platform's repository holds is sealed anew for the other
repository and sent, without being read from the database or compressed again. The copy has a
status of its own; one that fails is tried again and changes nothing of the backup.
"""

from pydantic import BaseModel

from holdfast.catalog.database.session import WriteSession
from holdfast.catalog.schema import Copy
from holdfast.catalog.storage import copies
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
    """What the steps learned so far. Sizes in bytes; `packs` were written by this attempt;
    `checked` is when a dump's reading back began."""

    source_pk: int = 0
    snapshot: str = ""
    tree: str = ""
    prefix: str = ""
    files: int = 0
    size: int = 0
    packs: list[str] = []
    copied: str = ""
    checked: int = 0


def wanted(job: Job) -> Copy:
    """The copy that is being made."""
    with job.tools.catalog.read() as session:
        copy = copies.get(session, int(str(job.arguments["copy"])))
    if copy is None:
        raise ObjectMissing("the copy's row is gone")
    return copy


def target(job: Job) -> Repository:
    return job.repository(wanted(job).destination_pk)


def _source(job: Job, record: CopyRecord) -> Repository:
    with job.tools.catalog.read() as session:
        copy = copies.get(session, record.source_pk)
    if copy is None:
        raise ObjectMissing("the copy to read from is gone")
    return job.repository(copy.destination_pk)


def find(job: Job, record: CopyRecord) -> CopyRecord:
    """From the first good copy there is."""
    source = next(proof.sources(job, wanted(job).backup_pk))
    found = {
        "source_pk": source.copy.pk,
        "snapshot": source.snapshot.id,
        "tree": source.snapshot.tree,
        "files": source.totals.files,
        "size": source.totals.size,
    }
    return record.model_copy(update=found)


def copy(job: Job, record: CopyRecord) -> CopyRecord:
    into = target(job)
    make_sound(job, into, wanted(job).destination_pk)
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
    made = copies.get(session, int(str(job.arguments["copy"])))
    if made is None:
        raise ObjectMissing("the copy's row is gone")
    made.objects = snapshot_key(record.prefix, record.copied)
    made.size = record.size
    made.reason, made.next_try = None, None


def clean(job: Job, record: CopyRecord) -> str:
    if record.copied:
        target(job).forget(record.copied)
    unlock(job, record)
    return ""


def failed(session: WriteSession, job: Job, record: CopyRecord) -> None:  # noqa: ARG001
    copies.try_later(session, int(str(job.arguments["copy"])), job.tools.clock.now())


def unlock(job: Job, record: CopyRecord) -> None:
    """Who died while it copied had locked both ends."""
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
