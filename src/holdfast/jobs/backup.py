"""Taking a dump: look, copy, check, seal.

Bytes go once through this process into the store; nothing is kept on disk. Each attempt writes
under its own prefix, so what a dead attempt left behind harms nobody; the next copy sweeps it.
`completed` is derived in `check` and `seal`: exit statuses, sizes, digests read back from the
store, structure parsed by the stock tool, tables compared with those counted in the same
snapshot, and the manifest written last.
"""

import json
from collections.abc import Iterator
from typing import cast

from pydantic import BaseModel

from holdfast.catalog import backups
from holdfast.catalog.schema import Backup, Document
from holdfast.catalog.session import WriteSession
from holdfast.contracts.engine import Dumpable, DumpSession, Member
from holdfast.contracts.store import ObjectStore
from holdfast.domain import evidence
from holdfast.domain.artifact import (
    MANIFEST,
    Manifest,
    StoredMember,
    attempt_prefix,
    backup_prefix,
)
from holdfast.domain.backup import SUFFIX, BackupType, Compression
from holdfast.domain.errors import EvidenceMissing, NotSupported
from holdfast.domain.evidence import Check
from holdfast.domain.units import show_bytes
from holdfast.jobs import inventories
from holdfast.jobs.step import Plan, Step
from holdfast.jobs.toolbox import Job
from holdfast.kit.clock import rfc3339
from holdfast.pipeline.compress import compressor
from holdfast.pipeline.decompress import decompress
from holdfast.pipeline.digest import Digest
from holdfast.pipeline.meter import Meter
from holdfast.pipeline.pump import pump


class BackupRecord(BaseModel):
    """What the steps learned so far. `prefix` is the copied attempt's place in the store."""

    version: str = ""
    expected: int = 0
    prefix: str = ""
    members: list[StoredMember] = []
    facts: Document = {}
    inventory: Document = {}
    checks: list[Check] = []
    manifest_sha256: str = ""


def _backup(job: Job) -> Backup:
    with job.tools.catalog.read() as session:
        return backups.get(session, int(str(job.arguments["backup"])))


def _store(job: Job, backup: Backup) -> ObjectStore:
    return job.tools.open_store(backup.destination_pk)


def _place(job: Job, backup: Backup) -> tuple[str, str, str]:
    return str(job.arguments["project"]), job.addon.id, backup.uid


def _dumper(job: Job, backup: Backup) -> Dumpable:
    engine = job.engine()
    if backup.type != BackupType.DUMP:
        raise NotSupported(f"{backup.type} backups of {engine.title} are not supported")
    if not isinstance(engine, Dumpable):
        raise NotSupported(f"{engine.title} has no dumps")
    return engine


def look(job: Job, record: BackupRecord) -> BackupRecord:
    backup = _backup(job)
    _dumper(job, backup)
    probe = job.engine().probe(job.address())
    job.say(f"{probe.flavour} {probe.version}, about {show_bytes(probe.size)}")
    return record.model_copy(update={"version": probe.version, "expected": probe.size})


def copy(job: Job, record: BackupRecord) -> BackupRecord:
    backup = _backup(job)
    prefix = attempt_prefix(*_place(job, backup), str(job.what.fence))
    job.guard.bytes_expected = record.expected or None
    store = _store(job, backup)
    _sweep(job, backup, store)
    with _dumper(job, backup).dump(job.address(), job.attempt, job.guard) as session:
        compression = Compression(str(backup.compression))
        members = [
            _copy_member(job, session, member, store, (prefix, compression))
            for member in session.members
        ]
        inventory = session.inventory()
        facts = dict(session.facts)
    return record.model_copy(
        update={
            "prefix": prefix,
            "members": members,
            "facts": facts,
            "inventory": inventories.document(inventory),
        }
    )


def _sweep(job: Job, backup: Backup, store: ObjectStore) -> None:
    """Part of the copy, not a step before it: a copy that is repeated must sweep again."""
    removed = store.clear(backup_prefix(*_place(job, backup)))
    if removed:
        job.say(f"removed {removed} leftovers of an earlier attempt")


def _copy_member(
    job: Job,
    session: DumpSession,
    member: Member,
    store: ObjectStore,
    form: tuple[str, Compression],
) -> StoredMember:
    prefix, compression = form
    name = f"{member.name}.{SUFFIX[compression]}"
    plain, plain_digest = Meter(job.guard.moved), Digest()
    stored, stored_digest = Meter(), Digest()
    stages = [plain, plain_digest, compressor(compression), stored, stored_digest]
    upload = store.begin(prefix + name)
    source = session.open(member)
    try:
        job.guard.watch_for_stall(on=True)
        pump(source.read, stages, upload, job.guard)
        facts = source.finish()
        job.guard.check()
        upload.commit()
    except BaseException:
        upload.abort()
        raise
    finally:
        job.guard.watch_for_stall(on=False)
        source.close()
    job.say(f"{name}: {show_bytes(plain.count)} in, {show_bytes(stored.count)} stored")
    return StoredMember(
        name=member.name,
        key=name,
        format=member.format,
        database=member.database,
        plain_bytes=plain.count,
        plain_sha256=plain_digest.hexdigest,
        stored_bytes=stored.count,
        stored_sha256=stored_digest.hexdigest,
        facts=facts,
    )


def check(job: Job, record: BackupRecord) -> BackupRecord:
    backup = _backup(job)
    store, engine = _store(job, backup), _dumper(job, backup)
    counted = inventories.tables_by_database(record.inventory)
    checks: list[Check] = []
    for member in record.members:
        checks += _member_checks(member)
        checks.append(
            evidence.read_back(member.name, _written(member), _read(job, store, record, member))
        )
        head = decompress(store.get(record.prefix + member.key), str(backup.compression))
        listed = engine.examine(_as_member(member), head)
        checks.append(evidence.structure(member.name, int(str(listed["entries"]))))
        if member.database is not None:
            archived = int(str(listed["tableData"]))
            checks.append(
                evidence.tables_covered(member.name, archived, counted.get(member.database, 0))
            )
    _require(checks)
    job.say(f"{len(checks)} checks passed")
    return record.model_copy(update={"checks": checks})


def _member_checks(member: StoredMember) -> list[Check]:
    statuses = cast("list[dict[str, object]]", member.facts.get("processes", []))
    return [
        evidence.exit_statuses(member.name, statuses),
        evidence.size_floor(member.name, member.plain_bytes),
    ]


def _written(member: StoredMember) -> tuple[int, str]:
    return member.stored_bytes, member.stored_sha256


def _read(
    job: Job, store: ObjectStore, record: BackupRecord, member: StoredMember
) -> tuple[int, str]:
    meter, digest = Meter(), Digest()
    for chunk in _guarded(job, store.get(record.prefix + member.key)):
        meter.feed(chunk)
        digest.feed(chunk)
    return meter.count, digest.hexdigest


def _guarded(job: Job, chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        job.guard.check()
        yield chunk


def _as_member(member: StoredMember) -> Member:
    return Member(member.name, member.format, member.database)


def _require(checks: list[Check]) -> None:
    failed = evidence.missing(checks)
    if failed:
        raise EvidenceMissing("; ".join(f"{c.name}: {c.found}" for c in failed))


def seal(job: Job, record: BackupRecord) -> BackupRecord:
    backup = _backup(job)
    store, key = _store(job, backup), record.prefix + MANIFEST
    body = json.dumps(_manifest(job, backup, record).document(), indent=1, sort_keys=True).encode()
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
    _require([sealed])
    return record.model_copy(
        update={"checks": [*record.checks, sealed], "manifest_sha256": written.hexdigest}
    )


def _manifest(job: Job, backup: Backup, record: BackupRecord) -> Manifest:
    project, addon, uid = _place(job, backup)
    return Manifest(
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
    )


def publish(session: WriteSession, job: Job, record: BackupRecord) -> None:
    backup = backups.get(session, int(str(job.arguments["backup"])))
    backup.version = record.version
    backup.size = sum(member.stored_bytes for member in record.members)
    backup.objects = record.prefix
    backup.evidence = {
        "manifestSha256": record.manifest_sha256,
        "members": [inventories.member_document(member) for member in record.members],
        "checks": [check.document() for check in record.checks],
        "inventory": record.inventory,
    }


def clean(job: Job, record: BackupRecord) -> str:  # noqa: ARG001 - all attempts go, not only this
    backup = _backup(job)
    _store(job, backup).clear(backup_prefix(*_place(job, backup)))
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
