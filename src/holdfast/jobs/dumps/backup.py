"""Taking a dump: look, copy, check, seal.

Bytes go once through this process into the store; nothing is kept on disk. Each attempt writes
under its own prefix, so leftovers of a dead attempt do no harm; the next copy removes them. An
attempt removes its own objects and those of older ones, never a newer one's: a worker that was
taken for dead and wakes up destroys nothing of its successor's.
`completed` is derived in `check` and `seal`: exit statuses, sizes, digests read back from the
store, structure parsed by the stock tool, tables compared with those counted in the same
snapshot, and the manifest written last.
"""

import json

from pydantic import BaseModel

from holdfast.catalog import backups
from holdfast.catalog.database.session import WriteSession
from holdfast.catalog.schema import Backup, Document
from holdfast.catalog.storage import copies
from holdfast.contracts.job_arguments import BackupArguments
from holdfast.contracts.store import ObjectStore
from holdfast.domain.artifact import (
    MANIFEST,
    Manifest,
    StoredMember,
    attempt_prefix,
    stamped_part,
)
from holdfast.domain.backup import FILES, Compression
from holdfast.domain.errors import SourceChanged
from holdfast.domain.evidence import Check
from holdfast.domain.units import show_bytes
from holdfast.jobs.core.job import Job
from holdfast.jobs.core.origins import address, dumper, importer, opened
from holdfast.jobs.core.step import Plan, Step
from holdfast.jobs.dumps import inventories
from holdfast.jobs.dumps.partitions import roots_by_database
from holdfast.jobs.dumps.proof import checks_of, checks_of_file, require
from holdfast.jobs.dumps.store_member import DumpTarget, copy_member
from holdfast.kit.clock import rfc3339
from holdfast.pipeline.digest import Digest
from holdfast.usecases import backup_warnings
from holdfast.usecases.protection import drills

_MAX_READINGS = 4
"""Readings of a server whose objects are replaced while it is read."""


class BackupRecord(BaseModel):
    """Results of the steps. `prefix` is that of the copied attempt; `checked` is when reading it
    back began, in ms since 1970."""

    version: str = ""
    expected: int = 0
    prefix: str = ""
    members: list[StoredMember] = []
    facts: Document = {}
    inventory: Document = {}
    checks: list[Check] = []
    checked: int = 0
    manifest_sha256: str = ""


def _backup(job: Job) -> Backup:
    with job.tools.catalog.read() as session:
        return backups.get(session, job.parse(BackupArguments).backup_pk)


def _store(job: Job, backup: Backup) -> ObjectStore:
    with job.tools.catalog.read() as session:
        destination_pk = copies.first(session, backup.pk).destination_pk
    return job.tools.open_store(destination_pk)


def _target(job: Job, backup: Backup, prefix: str) -> DumpTarget:
    return DumpTarget(_store(job, backup), prefix, Compression(str(backup.compression)))


def _names(job: Job, backup: Backup) -> tuple[str, str, str]:
    """Project, addon and uid of the backup, as its prefix has them."""
    return job.parse(BackupArguments).project, job.addon.id, backup.uid


def look(job: Job, record: BackupRecord) -> BackupRecord:
    backup = _backup(job)
    dumper(job)
    if backup.source in FILES:
        importer(job)
        return record.model_copy(update={"version": backup.version})
    probe = job.engine().probe(address(job, backup))
    job.say(f"{probe.flavour} {probe.version}, about {show_bytes(probe.size)}")
    return record.model_copy(update={"version": probe.version, "expected": probe.size})


def copy(job: Job, record: BackupRecord) -> BackupRecord:
    backup = _backup(job)
    prefix = attempt_prefix(*_names(job, backup), str(job.dispatch.fence))
    target = _target(job, backup, prefix)
    job.guard.bytes_expected = record.expected or None
    for reading in range(1, _MAX_READINGS):
        try:
            return _copied(job, record, backup, target)
        except SourceChanged as change:
            job.say(f"{change.message}: everything is read anew, for the {reading + 1}. time")
    return _copied(job, record, backup, target)


def _copied(job: Job, record: BackupRecord, backup: Backup, target: DumpTarget) -> BackupRecord:
    # Part of the copy, not a step before it, because a repeated copy must sweep again.
    if removed := _clear(job, backup, target.store):
        job.say(f"removed {removed} leftovers of an earlier attempt")
    with opened(job, backup) as session:
        members = [copy_member(job, session, member, target) for member in session.members]
        inventory = session.inventory()
        facts = dict(session.facts)
    return record.model_copy(
        update={
            "prefix": target.prefix,
            "members": members,
            "facts": facts,
            "inventory": inventories.document(inventory),
        }
    )


def _clear(job: Job, backup: Backup, store: ObjectStore) -> int:
    """Removes the objects of this attempt and older ones; returns their number."""
    path = _names(job, backup)
    attempts = range(1, job.dispatch.fence + 1)
    return sum(store.clear(attempt_prefix(*path, str(attempt))) for attempt in attempts)


def check(job: Job, record: BackupRecord) -> BackupRecord:
    backup = _backup(job)
    engine, target = dumper(job), _target(job, backup, record.prefix)
    record = record.model_copy(update={"checked": job.tools.clock.now()})
    if backup.source in FILES:  # its content is known only when it was read back
        (member,) = record.members
        checks, survey = checks_of_file(job, importer(job), target, member)
        require(checks)
        job.say(f"{len(checks)} checks passed")
        facts = {**survey.facts, "imported": survey.facts}
        inventory = inventories.document(survey.inventory)
        return record.model_copy(update={"checks": checks, "facts": facts, "inventory": inventory})
    counted = inventories.rows_by_database(record.inventory)
    roots = roots_by_database(record.inventory)
    checks = list[Check]()
    for member in record.members:
        name = member.database or ""
        checks += checks_of(job, engine, target, member, counted[name], roots.get(name, {}))
    require(checks)
    job.say(f"{len(checks)} checks passed")
    inventory = {**record.inventory, "tables": inventories.rows_as_tables(counted, roots)}
    return record.model_copy(update={"checks": checks, "inventory": inventory})


def seal(job: Job, record: BackupRecord) -> BackupRecord:
    backup = _backup(job)
    store, key = _store(job, backup), record.prefix + MANIFEST
    project, addon, uid = _names(job, backup)
    manifest = Manifest(
        backup={
            "uid": uid,
            "id": backup.id,
            "name": backup.name,
            "project": project,
            "addon": addon,
        },
        engine=job.addon.kind,
        version=record.version,
        compression=str(backup.compression),
        created=rfc3339(backup.created),
        members=record.members,
        facts=record.facts,
        inventory=record.inventory,
        provenance=backup.provenance,
    ).document()
    manifest["stamp"] = job.tools.stamp.of(stamped_part(manifest))
    body = json.dumps(manifest, indent=1, sort_keys=True).encode()
    upload = store.begin(key)
    try:
        upload.write(body)
        upload.commit()
    except BaseException:
        upload.abort()
        raise
    written, read = Digest(), Digest()
    written.feed(body)
    for chunk in store.get(key):
        read.feed(chunk)
    sealed = Check(
        "manifest read back", written.hexdigest == read.hexdigest, f"sha256 {read.hexdigest}"
    )
    require([sealed])
    return record.model_copy(
        update={"checks": [*record.checks, sealed], "manifest_sha256": written.hexdigest}
    )


def publish(session: WriteSession, job: Job, record: BackupRecord) -> None:
    arguments = job.parse(BackupArguments)
    backup = backups.get(session, arguments.backup_pk)
    backup.version = record.version
    copy = copies.first(session, backup.pk)
    backup.size = copy.size = sum(member.stored_bytes for member in record.members)
    copy.objects, copy.read_at = record.prefix, record.checked
    warnings = backup_warnings.gathered(record.facts, [member.facts for member in record.members])
    backup.warnings = len(warnings)
    backup.evidence = {
        "manifestSha256": record.manifest_sha256,
        "members": [inventories.member_document(member) for member in record.members],
        "checks": [check.document() for check in record.checks],
        "inventory": record.inventory,
        "warnings": warnings,
    }
    if arguments.drill:
        drills.follow(session, job.tools.queue, job.addon, backup.pk, job.tools.clock.now())


def clean(job: Job, record: BackupRecord) -> str:  # noqa: ARG001 - older attempts go too, unrecorded
    backup = _backup(job)
    _clear(job, backup, _store(job, backup))
    return ""


BACKUP = Plan(
    record=BackupRecord,
    steps=[
        Step("look", "looking at the database", look),
        Step("copy", "dumping", copy),
        Step("check", "reading back and checking", check),
        Step("seal", "writing the manifest", seal),
    ],
    publish=publish,
    clean=clean,
)
