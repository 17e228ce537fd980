"""Writes unreadable or missing snapshot objects again from the catalogue.

The object is a few lines: time, source, and the tree that names every file. The rows of the backup
have all of that, so losing the object loses nothing while the tree and its blocks are there.
"""

import logging
from collections.abc import Mapping

from holdfast.catalog import addons
from holdfast.catalog.schema import Addon
from holdfast.catalog.schema import Repository as Row
from holdfast.catalog.storage import copies, findings, store_contents
from holdfast.catalog.storage.store_contents import RequiredSnapshot
from holdfast.catalog.work import chores, operations
from holdfast.domain.errors import FencedOff, ObjectMissing, SealBroken
from holdfast.domain.snapshot import snapshot_key
from holdfast.jobs.core.job import Job
from holdfast.repositories.restic.format.snapshot import Snapshot
from holdfast.repositories.restic.read.reading import prove
from holdfast.repositories.restic.repository import Repository
from holdfast.usecases.snapshots.snapshot_repositories import snapshot_id

log = logging.getLogger(__name__)

PATIENCE_MS = 30 * 86_400_000
"""How long a damaged snapshot of others keeps all blocks from being removed."""


def trees(job: Job, row: Row) -> Mapping[str, str]:
    """The tree of every snapshot that must stay, by the name of its object."""
    with job.tools.catalog.read() as session:
        return {
            snapshot_id(snapshot.copy): snapshot.tree
            for snapshot in store_contents.required_snapshots(session, row)
        }


def repair(job: Job, row: Row, repository: Repository) -> None:
    """Repairs snapshot objects. Only while holding the addon's slot and the exclusive lock."""
    with job.tools.catalog.read() as session:
        required = store_contents.required_snapshots(session, row)
        addon = addons.get(session, row.addon_pk)
        session.expunge_all()
    readable, broken = repository.readable_snapshots()
    present = {snapshot.id for snapshot in readable}
    for snapshot in required:
        if snapshot_id(snapshot.copy) not in present:
            _rewrite(job, repository, addon, snapshot)
    _set_aside(
        job, row, repository, broken.keys() - {snapshot_id(snapshot.copy) for snapshot in required}
    )


def _rewrite(job: Job, repository: Repository, addon: Addon, required: RequiredSnapshot) -> None:
    """Writes the object again, unless a block that it needs is missing: then it stays lost."""
    before, copy = snapshot_id(required.copy), required.copy
    try:
        prove(repository, required.tree)
    except (ObjectMissing, SealBroken) as error:
        job.say(
            f"the snapshot object of {required.backup.id} is damaged, and more: {error.message}"
        )
        return
    backup = required.backup
    snapshot = Snapshot(  # as `snapshot.py` or `replicate.py` wrote it
        time=backup.created * 1_000_000,
        tree=required.tree,
        host=addon.id,
        paths=[f"/{addon.kind}"],
        tags=[
            f"holdfast:backup={backup.uid}",
            f"holdfast:engine={addon.kind}",
            f"holdfast:version={backup.version}",
        ],
        original=str((backup.evidence or {})["snapshot"]) if copy.additional else "",
    )
    name = repository.keep(snapshot)
    with job.tools.catalog.write() as session:
        if not operations.holds(session, job.dispatch):
            raise FencedOff
        row = copies.get(session, copy.pk)
        if row is None or row.objects != copy.objects:
            raise FencedOff
        row.objects = snapshot_key(repository.objects.prefix, name)
        chores.ask(session, chores.audit_of(copy.destination_pk), job.tools.clock.now())
    if any(listed == before for listed, _ in repository.objects.names("snapshots")):
        repository.objects.set_aside("snapshots", before)
    job.say(f"the snapshot object of {required.backup.id} was made anew as {name}")


def _set_aside(job: Job, row: Row, repository: Repository, unknown: set[str]) -> None:
    """Sets aside damaged snapshots of others that have been known for long."""
    before = job.tools.clock.now() - PATIENCE_MS
    for name in sorted(unknown):
        key = snapshot_key(row.prefix, name)
        with job.tools.catalog.read() as session:
            since = findings.open_since(session, row.destination_pk, findings.DAMAGED, key)
        if since is not None and since < before:
            job.say(f"the snapshot {name} was not readable for 30 days; it is set aside")
            log.error("a damaged snapshot of others was set aside", extra={"key": key})
            repository.objects.set_aside("snapshots", name)
