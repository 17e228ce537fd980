"""Copying a snapshot to an additional destination: find, send, check, seal.

One capture feeds every place: what the platform's repository holds is sealed anew for the other
repository and sent, without being read from the database or compressed again. The copy has a
status of its own; one that fails is tried again and changes nothing of the backup.
"""

from pydantic import BaseModel

from holdfast.catalog import copies
from holdfast.catalog.schema import Copy
from holdfast.catalog.session import WriteSession
from holdfast.domain.errors import ObjectMissing
from holdfast.domain.evidence import Check
from holdfast.domain.snapshot import snapshot_key
from holdfast.domain.units import show_bytes
from holdfast.jobs import snapshot_proof
from holdfast.jobs.proof import require
from holdfast.jobs.step import Plan, Step
from holdfast.jobs.toolbox import Job
from holdfast.jobs.vaults import snapshot_id
from holdfast.repositories.restic.copying import send
from holdfast.repositories.restic.locks import shared
from holdfast.repositories.restic.reading import Totals, prove
from holdfast.repositories.restic.repository import Repository


class CopyRecord(BaseModel):
    """What the steps learned so far. Sizes in bytes; `packs` were written by this attempt."""

    source_pk: int = 0
    snapshot: str = ""
    prefix: str = ""
    files: int = 0
    size: int = 0
    packs: list[str] = []
    copied: str = ""


def _copy(job: Job) -> Copy:
    with job.tools.catalog.read() as session:
        copy = copies.get(session, int(str(job.arguments["copy"])))
    if copy is None:
        raise ObjectMissing("the copy's row is gone")
    return copy


def _target(job: Job) -> Repository:
    project = str(job.arguments["project"])
    now = job.tools.clock.now()
    return job.tools.vaults.ensure(project, job.addon, _copy(job).destination_pk, now)


def _source(job: Job, record: CopyRecord) -> Repository:
    with job.tools.catalog.read() as session:
        copy = copies.get(session, record.source_pk)
    if copy is None:
        raise ObjectMissing("the copy to read from is gone")
    return job.tools.vaults.of_copy(copy)


def find(job: Job, record: CopyRecord) -> CopyRecord:
    """From the first good copy there is."""
    copy = _copy(job)
    with job.tools.catalog.read() as session:
        held = copies.of_backups(session, [copy.backup_pk])[copy.backup_pk]
    for source in copies.readable(held):
        return record.model_copy(update={"source_pk": source.pk, "snapshot": snapshot_id(source)})
    raise ObjectMissing("no good copy of this snapshot is there to copy from")


def copy(job: Job, record: CopyRecord) -> CopyRecord:
    source, target = _source(job, record), _target(job)
    snapshot = source.snapshot(record.snapshot)
    totals = prove(source, snapshot.tree)
    job.guard.watch_for_stall(on=True)
    now = job.tools.clock.now() * 1_000_000
    try:
        with shared(source, now), shared(target, now):
            sent = send(source, snapshot.tree, target, job.moved)
    finally:
        job.guard.watch_for_stall(on=False)
    job.say(f"{show_bytes(sent.added)} were new to the destination")
    return record.model_copy(
        update={
            "prefix": target.objects.prefix,
            "files": totals.files,
            "size": totals.size,
            "packs": sent.packs,
        }
    )


def check(job: Job, record: CopyRecord) -> CopyRecord:
    target = _target(job)
    tree = _source(job, record).snapshot(record.snapshot).tree
    found = prove(target, tree)
    whole = Check(
        "every file is whole",
        found == Totals(record.files, record.size),
        f"{found.files} files, {found.size} bytes",
    )
    require([snapshot_proof.read_back(job, target, record.packs), whole])
    return record


def seal(job: Job, record: CopyRecord) -> CopyRecord:
    name = _target(job).keep(_source(job, record).snapshot(record.snapshot).as_copy())
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
        _target(job).forget(record.copied)
    with job.tools.catalog.write() as session:
        copies.try_later(session, int(str(job.arguments["copy"])), job.tools.clock.now())
    return ""


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
)
