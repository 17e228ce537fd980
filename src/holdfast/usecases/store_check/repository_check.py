"""Compares the snapshot repositories of one store with the catalogue, as part of a store check.

Every check: does each snapshot object exist, and every pack that the index names? Are the bytes of
a share of the packs still right? Once a week, and when a person requests a check: do all
directories and blocks of every snapshot exist?

A snapshot that no copy accounts for is removed only if everything about it proves that a late
worker of ours wrote it. An owner's own snapshots, and repositories without a row, are reported as
foreign and left alone.
"""

import logging
from collections.abc import Iterator
from itertools import groupby

from holdfast.catalog.schema import Copy
from holdfast.catalog.schema import Repository as Row
from holdfast.catalog.storage import findings, repositories, snapshot_work, store_contents
from holdfast.catalog.storage.findings import Sighting
from holdfast.catalog.work import chores, operation_queries
from holdfast.contracts.store import ObjectStore
from holdfast.domain.errors import ObjectMissing, SealBroken
from holdfast.domain.operation import Kind
from holdfast.domain.retention.store_check import neighbourhood
from holdfast.domain.snapshot import EVERYTHING, ROOT, next_stretch, repository_of
from holdfast.kit.clock import rfc3339
from holdfast.repositories.restic.format.objects import is_shaped
from holdfast.repositories.restic.repository import Repository
from holdfast.usecases.retention import deletion
from holdfast.usecases.snapshots.snapshot_repositories import snapshot_id
from holdfast.usecases.store_check import object_check, snapshot_check
from holdfast.usecases.store_check.object_check import Group, Strangers
from holdfast.usecases.store_check.snapshot_check import CheckRequest
from holdfast.usecases.toolbox import Toolbox

log = logging.getLogger(__name__)

_THOROUGH_EVERY_MS = 7 * 86_400_000
_ABANDONED_MS = 24 * 3_600_000
"""Age of unfinished uploads that may be abandoned: a live one ends in minutes, a pack is small."""
_OUR_USERNAME = "holdfast"
_BACKUP_TAG = "holdfast:backup="


def check_repositories(
    tools: Toolbox, destination_pk: int | None, strangers: Strangers, began: int, round_ms: int
) -> Iterator[int]:
    """Checks all repositories at a destination; yields the keys of the copies it checked.

    `round_ms`: in that time the bytes of every pack are read once; 0: only on request.
    """
    with tools.catalog.read() as session:
        rows = repositories.at_destination(session, destination_pk)
        session.expunge_all()
    store = tools.open_store(destination_pk)
    for row in rows:
        yield from check_snapshots(tools, row, began, round_ms)
        account_for_snapshots(tools, store, row, strangers, began)
        drop_unfinished(tools, store, row, began)
    ours = {row.prefix for row in rows}
    listed = store.list(ROOT)
    for prefix, members in groupby(
        listed, key=lambda stat: repository_of(stat.key) or neighbourhood(stat.key)
    ):
        group = Group(prefix, None)
        for stat in members:
            if prefix not in ours or not is_shaped(stat.key.removeprefix(prefix)):
                group.add(stat, visible=True)
        if group.objects and prefix in ours:
            strangers.add(group, "it is no object of a repository", began)
        elif group.objects:  # another installation may share the bucket
            strangers.add(group, "no repository here has this prefix", began)


def check_snapshots(tools: Toolbox, row: Row, began: int, round_ms: int) -> Iterator[int]:
    """Marks copies of damaged snapshots as lost, and copies that are whole again as found."""
    with tools.catalog.read() as session:
        copies = store_contents.snapshots_in(session, row)
        session.expunge_all()
    if not copies and not tools.snapshot_repositories.is_made(row):
        return
    thorough_chore, read_chore = chores.snapshot_check_of(row.pk), chores.reading_of(row.pk)
    with tools.catalog.write() as session:
        thorough = chores.take(session, thorough_chore, began, _THOROUGH_EVERY_MS)
        everything = chores.take(session, read_chore, began, 0)
    thorough = thorough or any(copy.lost for copy in copies)
    since_reading = began - (row.read_at or row.created)
    stretch = EVERYTHING if everything else next_stretch(row.read_upto, since_reading, round_ms)
    names = [snapshot_id(copy) for copy in copies]
    result = snapshot_check.check(tools, row, CheckRequest(names, thorough, stretch))
    report_damage(tools, row, result)
    for copy in copies:
        mark_copy(tools, copy, result.wrong[snapshot_id(copy)])
        yield copy.pk
    now = tools.clock.now()
    with tools.catalog.write() as session:
        if result.spoiled is not None:
            repositories.note_spoiled(session, row.pk, result.spoiled)
            repositories.was_read(session, row.pk, stretch, began)
        if thorough:
            chores.end(session, thorough_chore, now + _THOROUGH_EVERY_MS, now, None)
        if everything:
            chores.end(session, read_chore, chores.NEVER, now, None)


def report_damage(tools: Toolbox, row: Row, result: snapshot_check.CheckResult) -> None:
    """Reports damaged objects and requests a prune, which repairs them.

    At once: a damaged index object or key harms no present snapshot, but may harm the next one.
    """
    now = tools.clock.now()
    for key, why in result.damaged.items():
        log.error("an object of a repository is damaged", extra={"key": key, "problem": why})
        with tools.catalog.write() as session:
            sighting = Sighting(row.destination_pk, findings.DAMAGED, key, why, objects=1)
            findings.report(session, sighting, now)
    if result.damaged or any(result.wrong.values()):
        with tools.catalog.write() as session:
            repositories.prune_now(session, row.pk, now)


def mark_copy(tools: Toolbox, copy: Copy, problem: str | None) -> None:
    """Records that a copy is lost or whole again. `deletion` checks under the addon's lock that the
    snapshot was not deleted meanwhile. While a repair runs, it is the repair that says so: it has
    put the objects there, and has yet to read them."""
    if problem is None and copy.lost is None:
        return
    now = tools.clock.now()
    with tools.catalog.write() as session:
        if problem is None:
            if not snapshot_work.is_under_way(session, copy.addon_pk, Kind.REPAIR):
                deletion.find(session, copy.pk, now)
        else:
            deletion.lose(session, copy.pk, problem, now)


def account_for_snapshots(
    tools: Toolbox, store: ObjectStore, row: Row, strangers: Strangers, began: int
) -> None:
    """Removes our leftover snapshots; adds those of others to `strangers`.

    The store is listed before the rows are read, so a snapshot published meanwhile has its row.
    """
    stats = {stat.key: stat for stat in store.list(f"{row.prefix}snapshots/")}
    with tools.catalog.read() as session:
        unknown = sorted(set(stats) - store_contents.snapshot_keys(session, row))
    if not unknown:
        return
    try:
        repository = tools.snapshot_repositories.of_row(row)
    except (ObjectMissing, SealBroken):
        repository = None  # it cannot be read, so nothing about its snapshots can be proven
    for key in unknown:
        group = Group(key, None)
        group.add(stats[key], visible=True)
        proof = leftover_proof(tools, row, repository, key) if repository else None
        if proof is None:
            why = "no copy accounts for this snapshot in a repository of ours"
            strangers.add(group, why, began)
        else:
            sweep(tools, store, row, group, proof)


def leftover_proof(tools: Toolbox, row: Row, repository: Repository, key: str) -> str | None:
    """A sentence if a worker of ours wrote the snapshot for a backup that ended without it.

    A snapshot that the stock tool made of ours (by `tag` or `rewrite`) names its `original` and
    belongs to its author; so does a snapshot with another time than the backup's.
    """
    try:
        snapshot = repository.snapshot(key.rpartition("/")[2])
    except (ObjectMissing, SealBroken):
        return None
    uids = [tag.removeprefix(_BACKUP_TAG) for tag in snapshot.tags if tag.startswith(_BACKUP_TAG)]
    if len(uids) != 1 or snapshot.original or snapshot.extra.get("username") != _OUR_USERNAME:
        return None
    with tools.catalog.read() as session:
        ended = store_contents.ended_snapshot(session, row, uids[0])
        if ended is None or key in store_contents.snapshot_keys(session, row):
            return None
        backup, proof = ended
        return proof if snapshot.time == backup.created * 1_000_000 else None


def sweep(tools: Toolbox, store: ObjectStore, row: Row, group: Group, proof: str) -> None:
    """Removes one leftover snapshot object; the next prune removes its blocks."""
    now = tools.clock.now()
    with tools.catalog.write() as session:
        finding = object_check.report_leftover(session, row.destination_pk, group, proof, now)
    store.delete(group.prefix)
    log.info("leftovers removed", extra={"prefix": group.prefix, "proof": proof})
    with tools.catalog.write() as session:
        findings.settle(session, finding, f"removed at {rfc3339(now)}", now)
        repositories.prune_later(session, row.addon_pk, row.destination_pk, now)


def drop_unfinished(tools: Toolbox, store: ObjectStore, row: Row, began: int) -> None:
    """Removes uploads that dead workers left unfinished.

    Age alone proves nothing: a clock may have been ahead. The proof is that nothing works on the
    addon after they were listed. Then their writer has lost its hold: no upload it still finishes
    becomes part of a snapshot, and these names are never written again.
    """
    old = [
        stat
        for stat in store.list(row.prefix, unfinished=True)
        if stat.modified < began - _ABANDONED_MS
    ]
    if not old:
        return
    with tools.catalog.read() as session:
        if operation_queries.is_busy(session, row.addon_pk):
            return
    for stat in old:
        try:
            store.stat(stat.key)
        except ObjectMissing:  # else deleting the upload would delete the finished object as well
            store.delete(stat.key)
            log.info("an unfinished upload was removed", extra={"key": stat.key})
