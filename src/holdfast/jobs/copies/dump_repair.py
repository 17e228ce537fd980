"""Repairs a lost or damaged copy of a dump from a whole one.

Every object is sent as it is stored and compared with its digest before it becomes visible; the
manifest goes last, and everything is read back. The copy stays lost until that has succeeded.
"""

from holdfast.catalog import backups
from holdfast.catalog.database.session import WriteSession
from holdfast.catalog.schema import Copy, Document
from holdfast.catalog.storage import copies, dump_checks, findings
from holdfast.contracts.job_arguments import CopyArguments
from holdfast.contracts.store import ObjectStore
from holdfast.domain.backup import BackupType
from holdfast.domain.errors import EvidenceMissing, Failure, ObjectMissing
from holdfast.jobs.copies import replicate
from holdfast.jobs.copies.replicate import CopyRecord
from holdfast.jobs.core.job import Job
from holdfast.pipeline.digest import Digest
from holdfast.usecases.store_check import dump_check


def is_about_dump(job: Job) -> bool:
    """Whether the job repairs a copy of a dump, not of a snapshot."""
    with job.tools.catalog.read() as session:
        backup = backups.get(session, replicate.copy_of(job).backup_pk)
    return backup.type == BackupType.DUMP


def find(job: Job, record: CopyRecord) -> CopyRecord:
    """Picks the first copy that is good by the catalogue; reading it shows whether that is so."""
    copy = replicate.copy_of(job)
    sources = _sources(job, copy)
    if not sources:
        raise ObjectMissing("no other copy of this dump is whole")
    return record.model_copy(update={"source_pk": sources[0].pk, "prefix": str(copy.objects)})


def copy(job: Job, record: CopyRecord) -> CopyRecord:
    """Copies from the first source whose bytes are all as they were written."""
    lost, problem = replicate.copy_of(job), "no other copy of this dump is whole"
    evidence, into = _evidence(job, lost), job.tools.open_store(lost.destination_pk)
    for source in _sources(job, lost):
        try:
            _send(job, source, into, record.prefix, evidence)
        except Failure as failure:
            job.guard.check()
            problem = failure.message
            job.say(f"a copy cannot be read from: {problem}")
            with job.tools.catalog.write() as session:
                dump_checks.ask(session, [source.pk], job.tools.clock.now())
        else:
            return record.model_copy(update={"source_pk": source.pk})
    raise EvidenceMissing(problem)


def check(job: Job, record: CopyRecord) -> CopyRecord:
    lost, began = replicate.copy_of(job), job.tools.clock.now()
    store = job.tools.open_store(lost.destination_pk)
    problem = dump_check.flaw(store, record.prefix, _evidence(job, lost), job.moved)
    if problem is not None:
        raise EvidenceMissing(problem)
    return record.model_copy(update={"checked": began})


def publish(session: WriteSession, job: Job, record: CopyRecord) -> None:
    row = copies.get(session, job.parse(CopyArguments).copy_pk)
    if row is None:
        raise ObjectMissing("the copy's row is gone")
    dump_checks.was_right(session, row.pk, record.checked)
    row.lost, row.tries, row.next_try = None, 0, None
    for finding in findings.open_of_copy(session, row.pk):
        now = job.tools.clock.now()
        findings.settle(session, finding.pk, "it was made again from another copy", now)


def _sources(job: Job, lost: Copy) -> list[Copy]:
    """The copies to repair from."""
    with job.tools.catalog.read() as session:
        candidates = copies.of_backups(session, [lost.backup_pk])[lost.backup_pk]
        session.expunge_all()
    return [copy for copy in copies.readable(candidates) if copy.pk != lost.pk]


def _evidence(job: Job, copy: Copy) -> Document:
    with job.tools.catalog.read() as session:
        return backups.with_evidence(session, copy.backup_pk).evidence or {}


def _send(job: Job, source: Copy, into: ObjectStore, prefix: str, evidence: Document) -> None:
    store = job.tools.open_store(source.destination_pk)
    manifest, *members = dump_check.written(evidence)
    for item in (*members, manifest):
        key, digest = f"{source.objects}{item.name}", Digest()
        upload = into.begin(f"{prefix}{item.name}")
        try:
            for chunk in store.get(key):
                digest.feed(chunk)
                upload.write(chunk)
                job.moved(len(chunk))
            if digest.hexdigest != item.sha256:
                raise EvidenceMissing(f"{key} is not what was written")
            upload.commit()
        except BaseException:
            upload.abort()
            raise
