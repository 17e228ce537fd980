"""Repairs a lost or damaged copy from a whole one, in either direction between destinations.

Copies of dumps are repaired by `dump_repair.py`. For a snapshot the steps are those of replicating,
after the index of the repository was mended; the copy stays lost until everything the snapshot
needs was read back.
"""

from holdfast.catalog.database.session import WriteSession
from holdfast.catalog.storage import copies, findings
from holdfast.contracts.job_arguments import CopyArguments
from holdfast.domain.errors import ObjectMissing, SealBroken
from holdfast.domain.snapshot import snapshot_key
from holdfast.jobs.copies import dump_repair, replicate
from holdfast.jobs.copies.replicate import CopyRecord
from holdfast.jobs.core.job import Job
from holdfast.jobs.core.step import Plan, Step
from holdfast.jobs.dumps.proof import require
from holdfast.jobs.snapshots import proof
from holdfast.usecases.snapshots.snapshot_repositories import snapshot_id


def find(job: Job, record: CopyRecord) -> CopyRecord:
    if dump_repair.is_about_dump(job):
        return dump_repair.find(job, record)
    return replicate.find(job, record)


def copy(job: Job, record: CopyRecord) -> CopyRecord:
    if dump_repair.is_about_dump(job):
        return dump_repair.copy(job, record)
    return replicate.copy(job, record)


def check(job: Job, record: CopyRecord) -> CopyRecord:
    if dump_repair.is_about_dump(job):
        return dump_repair.check(job, record)
    record = replicate.check(job, record)
    require([proof.read_all(job, replicate.target(job), record.tree)])
    return record


def seal(job: Job, record: CopyRecord) -> CopyRecord:
    """Writes the snapshot object, unless the old one outlived its packs and can count again."""
    if dump_repair.is_about_dump(job):
        return record
    target, before = replicate.target(job), snapshot_id(replicate.copy_of(job))
    try:
        if target.snapshot(before).tree == record.tree:
            return record.model_copy(update={"copied": before})
    except (ObjectMissing, SealBroken):
        pass
    record = replicate.seal(job, record)
    if any(name == before for name, _ in target.objects.names("snapshots")):
        target.objects.set_aside("snapshots", before)
    return record


def publish(session: WriteSession, job: Job, record: CopyRecord) -> None:
    if not record.copied:
        dump_repair.publish(session, job, record)
        return
    row = copies.get(session, job.parse(CopyArguments).copy_pk)
    if row is None:
        raise ObjectMissing("the copy's row is gone")
    row.objects = snapshot_key(record.prefix, record.copied)
    row.lost, row.tries, row.next_try = None, 0, None
    now = job.tools.clock.now()
    for finding in findings.open_of_copy(session, row.pk):
        findings.settle(session, finding.pk, "it was made again from another copy", now)


def clean(job: Job, record: CopyRecord) -> str:
    if record.copied and record.copied != snapshot_id(replicate.copy_of(job)):
        replicate.target(job).forget(record.copied)
    if not dump_repair.is_about_dump(job):
        replicate.unlock(job, record)
    return ""


REPAIR = Plan(
    record=CopyRecord,
    steps=[
        Step("find", "looking for a copy to read from", find),
        Step("copy", "sending what is missing", copy),
        Step("check", "reading everything back and checking", check),
        Step("seal", "making it count again", seal),
    ],
    publish=publish,
    clean=clean,
    failed=replicate.failed,
)
