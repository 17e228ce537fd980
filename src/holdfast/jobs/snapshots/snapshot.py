"""Takes a snapshot: look, capture, check, seal.

The server's files go through this process into the addon's repository, cut into blocks that follow
its pages; only blocks that the repository lacks are stored. The snapshot object is written last,
after everything new was read back: a worker that dies leaves unreferenced blocks, which the next
attempt uses.
"""

import json

from pydantic import BaseModel

from holdfast.catalog import backups
from holdfast.catalog.archiving import archives
from holdfast.catalog.database.session import WriteSession
from holdfast.catalog.schema import Backup, Copy, Document
from holdfast.catalog.storage import copies, repositories
from holdfast.contracts.job_arguments import BackupArguments
from holdfast.contracts.snapshots import Piece
from holdfast.domain.evidence import Check
from holdfast.domain.snapshot import ARCHIVE_KEY, FORMAT, MANIFEST, page_block, snapshot_key
from holdfast.domain.units import show_bytes
from holdfast.jobs.core.job import Job
from holdfast.jobs.core.origins import FILES, captured
from holdfast.jobs.core.step import Plan, Step
from holdfast.jobs.dumps.proof import require
from holdfast.jobs.snapshots import proof
from holdfast.jobs.snapshots.index_repair import make_sound
from holdfast.kit.clock import rfc3339
from holdfast.repositories.restic.format.snapshot import Snapshot
from holdfast.repositories.restic.locks import drop_dead_locks, shared
from holdfast.repositories.restic.read.reading import Totals
from holdfast.repositories.restic.write.cutting import Cutter, cutters
from holdfast.repositories.restic.write.writing import SnapshotWriter
from holdfast.usecases import backup_warnings
from holdfast.usecases.protection import drills
from holdfast.usecases.snapshots import snapshot_upkeep


class SnapshotRecord(BaseModel):
    """Results of the steps. Sizes in bytes; `packs` were written by this attempt."""

    version: str = ""
    expected: int = 0
    prefix: str = ""
    tree: str = ""
    files: int = 0
    size: int = 0
    added: int = 0
    packs: list[str] = []
    facts: Document = {}
    checks: list[Check] = []
    snapshot: str = ""


def _backup(job: Job) -> tuple[Backup, Copy]:
    with job.tools.catalog.read() as session:
        backup = backups.get(session, job.parse(BackupArguments).backup_pk)
        return backup, copies.first(session, backup.pk)


def look(job: Job, record: SnapshotRecord) -> SnapshotRecord:
    backup, _ = _backup(job)
    if backup.source in FILES:
        return record
    job.require_running()
    probe = job.engine().probe(job.address())
    job.say(f"{probe.flavour} {probe.version}, about {show_bytes(probe.size)}")
    return record.model_copy(update={"version": probe.version, "expected": probe.size})


def capture(job: Job, record: SnapshotRecord) -> SnapshotRecord:
    backup, copy = _backup(job)
    repository = job.repository(copy.destination_pk)
    make_sound(job, repository, copy.destination_pk)
    writer = SnapshotWriter(repository)
    cuts = cutters(page_block(record.expected))
    job.guard.bytes_expected = record.expected or None
    with (
        shared(repository, job.tools.clock.now() * 1_000_000, job.sign),
        captured(job, backup, job.parse(BackupArguments).rate) as session,
    ):
        for piece in session.pieces():
            _write_piece(job, writer, piece, cuts[piece.cut])
        facts = dict(session.facts)
    record = record.model_copy(update={"version": facts.get("version", record.version)})
    _write_archive_key(job, writer, backup)
    _write_manifest(job, writer, backup, record, facts)
    tree = writer.flush()
    job.say(
        f"{writer.files} files, {show_bytes(writer.size)};"
        f" {show_bytes(writer.packer.added)} of it new to the repository"
    )
    return record.model_copy(
        update={
            "prefix": repository.objects.prefix,
            "tree": tree,
            "files": writer.files,
            "size": writer.size,
            "added": writer.packer.added,
            "packs": writer.packer.packs,
            "facts": facts,
        }
    )


def _write_piece(job: Job, writer: SnapshotWriter, piece: Piece, cutter: Cutter) -> None:
    path = piece.path.encode("utf-8", "surrogateescape")
    if piece.directory:
        writer.directory(path, piece.mode, piece.mtime)
    elif piece.target:
        writer.link(path, piece.target.encode("utf-8", "surrogateescape"), piece.mtime)
    else:
        file = writer.file(path, piece.mode, piece.mtime, cutter)
        job.guard.watch_for_stall(on=True)
        try:
            for chunk in piece.chunks:
                file.write(chunk)
                job.moved(len(chunk))
        finally:
            job.guard.watch_for_stall(on=False)
        file.close()


def _write_archive_key(job: Job, writer: SnapshotWriter, backup: Backup) -> None:
    """Writes the identity that opens the addon's archived log, so that what opens the repository
    opens that, too."""
    with job.tools.catalog.read() as session:
        archive = archives.of_addon(session, job.addon.pk)
        sealed = archive.sealed_identity if archive else None
    if sealed is not None:
        identity = job.tools.sealer.open(sealed, archives.context(job.addon.uid))
        file = writer.file(ARCHIVE_KEY.encode(), 0o600, backup.created * 1_000_000)
        file.write(f"{identity.reveal()}\n".encode())
        file.close()


def _write_manifest(
    job: Job, writer: SnapshotWriter, backup: Backup, record: SnapshotRecord, facts: Document
) -> None:
    """Writes a manifest into the tree, so that the snapshot can be adopted without a catalogue."""
    body = json.dumps(
        {
            "format": FORMAT,
            "backup": {"uid": backup.uid, "id": backup.id, "name": backup.name},
            "project": job.parse(BackupArguments).project,
            "addon": {"id": job.addon.id, "uid": job.addon.uid, "user": job.addon.user},
            "engine": job.addon.kind,
            "version": record.version,
            "created": rfc3339(backup.created),
            "provenance": backup.provenance,
            "facts": facts,
        },
        indent=1,
        sort_keys=True,
    ).encode()
    file = writer.file(MANIFEST.encode(), 0o600, backup.created * 1_000_000)
    file.write(body)
    file.close()


def check(job: Job, record: SnapshotRecord) -> SnapshotRecord:
    _, copy = _backup(job)
    repository = job.repository(copy.destination_pk)
    checks = [
        *[Check(name, True, sentence) for name, sentence in record.facts["proven"].items()],
        proof.read_back(job, repository, record.packs),
        proof.whole(repository, record.tree, Totals(record.files, record.size)),
    ]
    require(checks)
    job.say(f"{len(checks)} checks passed")
    return record.model_copy(update={"checks": checks})


def seal(job: Job, record: SnapshotRecord) -> SnapshotRecord:
    backup, copy = _backup(job)
    repository = job.repository(copy.destination_pk)
    snapshot = Snapshot(
        time=backup.created * 1_000_000,
        tree=record.tree,
        host=job.addon.id,
        paths=[f"/{job.addon.kind}"],
        tags=[
            f"holdfast:backup={backup.uid}",
            f"holdfast:engine={job.addon.kind}",
            f"holdfast:version={record.version}",
        ],
    )
    name = repository.keep(snapshot)
    read = repository.snapshot(name)
    sealed = Check("snapshot read back", read.tree == record.tree, f"snapshot {name}")
    require([sealed])
    return record.model_copy(update={"snapshot": name, "checks": [*record.checks, sealed]})


def publish(session: WriteSession, job: Job, record: SnapshotRecord) -> None:
    arguments = job.parse(BackupArguments)
    backup = backups.get(session, arguments.backup_pk)
    copy = copies.first(session, backup.pk)
    backup.version = record.version
    backup.size = copy.size = record.size
    copy.objects = snapshot_key(record.prefix, record.snapshot)
    for other in copies.of_backups(session, [backup.pk])[backup.pk]:
        if other.additional:
            snapshot_upkeep.order_copy(session, job.tools.queue, other, job.tools.clock.now())
    warnings = backup_warnings.gathered(record.facts)
    backup.warnings = len(warnings)
    backup.evidence = {
        "snapshot": record.snapshot,
        "tree": record.tree,
        "files": record.files,
        "storedBytes": record.added,
        "checks": [check.document() for check in record.checks],
        "facts": record.facts,
        "warnings": warnings,
    }
    if arguments.drill:
        drills.follow(session, job.tools.queue, job.addon, backup.pk, job.tools.clock.now())


def clean(job: Job, record: SnapshotRecord) -> str:
    """Removes the snapshot object of an attempt that failed; a prune removes its blocks."""
    _, copy = _backup(job)
    if record.snapshot:
        job.repository(copy.destination_pk).forget(record.snapshot)
    if job.inherits:
        drop_dead_locks(job.repository(copy.destination_pk), job.sign)
    return ""


def failed(session: WriteSession, job: Job, record: SnapshotRecord) -> None:  # noqa: ARG001
    copy = copies.first(session, job.parse(BackupArguments).backup_pk)
    now = job.tools.clock.now()
    repositories.prune_later(session, job.addon.pk, copy.destination_pk, now)


SNAPSHOT = Plan(
    record=SnapshotRecord,
    steps=[
        Step("look", "looking at the database", look),
        Step("capture", "copying the server's files", capture),
        Step("check", "reading back and checking", check),
        Step("seal", "writing the snapshot", seal),
    ],
    publish=publish,
    clean=clean,
    failed=failed,
)
