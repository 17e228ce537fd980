"""Snapshot objects that cannot be read or are gone: made anew from what the catalogue knows.

The object is a few lines: when, of what, and the tree that names every file. All of that is in the
rows of the backup, so losing the object loses nothing while the tree and its blocks are there.
"""

import logging
from collections.abc import Mapping

from holdfast.catalog import addons
from holdfast.catalog.schema import Addon
from holdfast.catalog.schema import Repository as Row
from holdfast.catalog.storage import copies, findings, store_contents
from holdfast.catalog.storage.store_contents import Rooted
from holdfast.catalog.work import chores, operations
from holdfast.domain.errors import FencedOff, ObjectMissing, SealBroken
from holdfast.domain.snapshot import snapshot_key
from holdfast.jobs.core.job import Job
from holdfast.repositories.restic.read.reading import prove
from holdfast.repositories.restic.repository import Repository, Snapshot
from holdfast.usecases.snapshots.snapshot_repositories import snapshot_id

log = logging.getLogger(__name__)

PATIENCE_MS = 30 * 86_400_000
"""How long a damaged snapshot that is none of ours keeps everything else from being removed."""


def trees(job: Job, row: Row) -> Mapping[str, str]:
    """By the name of its object, the tree of every snapshot that must stay."""
    with job.tools.catalog.read() as session:
        return {
            snapshot_id(each.copy): each.tree for each in store_contents.rooted_in(session, row)
        }


def make_right(job: Job, row: Row, repository: Repository) -> None:
    """Only for who holds the addon's slot and has the repository to himself."""
    with job.tools.catalog.read() as session:
        rooted = store_contents.rooted_in(session, row)
        addon = addons.get(session, row.addon_pk)
        session.expunge_all()
    readable, broken = repository.readable_snapshots()
    there = {each.id for each in readable}
    for each in rooted:
        if snapshot_id(each.copy) not in there:
            _remake(job, repository, addon, each)
    _give_up(job, row, repository, broken.keys() - {snapshot_id(each.copy) for each in rooted})


def _remake(job: Job, repository: Repository, addon: Addon, rooted: Rooted) -> None:
    """Unless a block that it needs is missing: then it stays lost, and all that is left stays."""
    before, copy = snapshot_id(rooted.copy), rooted.copy
    try:
        prove(repository, rooted.tree)
    except (ObjectMissing, SealBroken) as error:
        job.say(f"the snapshot object of {rooted.backup.id} is damaged, and more: {error.message}")
        return
    name = repository.keep(_described(addon, rooted))
    with job.tools.catalog.write() as session:
        if not operations.holds(session, job.what):
            raise FencedOff
        row = copies.get(session, copy.pk)
        if row is None or row.objects != copy.objects:
            raise FencedOff
        row.objects = snapshot_key(repository.objects.prefix, name)
        chores.ask(session, chores.audit_of(copy.destination_pk), job.tools.clock.now())
    if any(each == before for each, _ in repository.objects.names("snapshots")):
        repository.objects.set_aside("snapshots", before)
    job.say(f"the snapshot object of {rooted.backup.id} was made anew as {name}")


def _described(addon: Addon, rooted: Rooted) -> Snapshot:
    """As `snapshot.py` and `replicate.py` wrote it."""
    backup = rooted.backup
    return Snapshot(
        time=backup.created * 1_000_000,
        tree=rooted.tree,
        host=addon.id,
        paths=[f"/{addon.kind}"],
        tags=[
            f"holdfast:backup={backup.uid}",
            f"holdfast:engine={addon.kind}",
            f"holdfast:version={backup.version}",
        ],
        original=str((backup.evidence or {})["snapshot"]) if rooted.copy.additional else "",
    )


def _give_up(job: Job, row: Row, repository: Repository, unknown: set[str]) -> None:
    """Sets aside what has been known as damaged for long and is of no backup of ours."""
    before = job.tools.clock.now() - PATIENCE_MS
    for name in sorted(unknown):
        key = snapshot_key(row.prefix, name)
        with job.tools.catalog.read() as session:
            since = findings.open_since(session, row.destination_pk, findings.DAMAGED, key)
        if since is not None and since < before:
            job.say(f"the snapshot {name} was not readable for 30 days; it is set aside")
            log.error("a damaged snapshot of somebody else was set aside", extra={"key": key})
            repository.objects.set_aside("snapshots", name)
