"""Compares the repositories of one store with the catalogue, as part of its inventory.

Every time: is each snapshot object there, and every pack that the index names? Are the bytes of
a share of the packs still right? Once a week, and when somebody asks for an inventory: do all
directories and blocks of every snapshot exist? A
snapshot that no copy accounts for is removed only when everything about it proves that a late
worker of ours wrote it; an owner's own snapshots, and repositories without a row, are shown as
foreign and left alone.
"""

import logging
from collections.abc import Iterator
from itertools import groupby

from holdfast.catalog.schema import Copy
from holdfast.catalog.schema import Repository as Row
from holdfast.catalog.storage import findings, repositories, store_contents
from holdfast.catalog.storage.findings import Sighting
from holdfast.catalog.work import chores, operations
from holdfast.contracts.store import ObjectStore
from holdfast.domain.errors import ObjectMissing, SealBroken
from holdfast.domain.snapshot import EVERYTHING, ROOT, Stretch, next_stretch, repository_of
from holdfast.domain.store_check import neighbourhood
from holdfast.kit.clock import rfc3339
from holdfast.repositories.restic.format.objects import is_shaped
from holdfast.repositories.restic.repository import Repository
from holdfast.usecases.retention import deletion
from holdfast.usecases.snapshots.snapshot_repositories import snapshot_id
from holdfast.usecases.store_check import object_check, snapshot_check
from holdfast.usecases.store_check.object_check import Group, Strangers
from holdfast.usecases.store_check.snapshot_check import Look
from holdfast.usecases.toolbox import Toolbox

log = logging.getLogger(__name__)

_THOROUGH_MS = 7 * 86_400_000
_DEAD_MS = 24 * 3_600_000
_OURS = "holdfast"
_TAG = "holdfast:backup="


def compare(
    tools: Toolbox, place: int | None, strangers: Strangers, began: int, round_ms: int
) -> Iterator[int]:
    """Keys of the copies that were looked at here, so that nobody has to look again.

    `round_ms`: in that time the bytes of every pack are read once; 0: only when somebody asks.
    """
    with tools.catalog.read() as session:
        rows = repositories.at_destination(session, place)
        session.expunge_all()
    store = tools.open_store(place)
    for row in rows:
        yield from _look(tools, row, began, round_ms)
        _account(tools, store, row, strangers, began)
        _drop_unfinished(tools, store, row, began)
    _foreign(store, {row.prefix for row in rows}, strangers, began)


def _look(tools: Toolbox, row: Row, began: int, round_ms: int) -> Iterator[int]:
    """Loses what is damaged, and finds what is whole again."""
    with tools.catalog.read() as session:
        held = store_contents.snapshots_in(session, row)
        session.expunge_all()
    if not held and not tools.snapshot_repositories.is_made(row):
        return
    name = chores.custody_of(row.pk)
    with tools.catalog.write() as session:
        thorough = chores.take(session, name, began, _THOROUGH_MS)
        everything = chores.take(session, chores.reading_of(row.pk), began, 0)
    thorough = thorough or any(copy.lost for copy in held)
    names = [snapshot_id(copy) for copy in held]
    stretch = EVERYTHING if everything else _stretch(row, began, round_ms)
    found = snapshot_check.look(tools, row, Look(names, thorough, stretch))
    _note_damage(tools, row, found)
    for copy in held:
        _note(tools, copy, found.wrong[snapshot_id(copy)])
        yield copy.pk
    now = tools.clock.now()
    with tools.catalog.write() as session:
        if found.spoiled is not None:
            repositories.note_spoiled(session, row.pk, found.spoiled)
            repositories.was_read(session, row.pk, stretch, began)
        if thorough:
            chores.end(session, name, now + _THOROUGH_MS, now, None)
        if everything:
            chores.end(session, chores.reading_of(row.pk), chores.NEVER, now, None)


def _stretch(row: Row, now: int, round_ms: int) -> Stretch:
    """Since it was read last, or made."""
    return next_stretch(row.read_upto, now - (row.read_at or row.created), round_ms)


def _note_damage(tools: Toolbox, row: Row, found: snapshot_check.Found) -> None:
    """Tidying puts it right, and is ordered at once: damage of an index object or a key harms no
    snapshot by itself, but the next one may."""
    now = tools.clock.now()
    for key, why in found.damaged.items():
        log.error("an object of a repository is damaged", extra={"key": key, "problem": why})
        with tools.catalog.write() as session:
            seen = Sighting(row.destination_pk, findings.DAMAGED, key, why, objects=1)
            findings.report(session, seen, now)
    if found.damaged or any(found.wrong.values()):
        with tools.catalog.write() as session:
            repositories.prune_now(session, row.pk, now)


def _note(tools: Toolbox, copy: Copy, problem: str | None) -> None:
    """A snapshot that goes meanwhile is not lost: that is looked at under the addon's lock."""
    if problem is None and copy.lost is None:
        return
    now = tools.clock.now()
    with tools.catalog.write() as session:
        if problem is None:
            deletion.find(session, copy.pk, now)
        else:
            deletion.lose(session, copy.pk, problem, now)


def _account(
    tools: Toolbox, store: ObjectStore, row: Row, strangers: Strangers, began: int
) -> None:
    """The listing comes before the rows: what was published meanwhile is known to them."""
    there = {stat.key: stat for stat in store.list(f"{row.prefix}snapshots/")}
    with tools.catalog.read() as session:
        unknown = sorted(set(there) - store_contents.snapshot_keys(session, row))
    repository = _opened(tools, row) if unknown else None
    for key in unknown:
        group = Group(key, None)
        group.add(there[key], visible=True)
        proof = _proof(tools, row, repository, key) if repository else None
        if proof is None:
            why = "no copy accounts for this snapshot in a repository of ours"
            strangers.add(group, why, began)
        else:
            _sweep(tools, store, row, group, proof)


def _opened(tools: Toolbox, row: Row) -> Repository | None:
    """None: it cannot be read, so nothing about it can be proven."""
    try:
        return tools.snapshot_repositories.of_row(row)
    except (ObjectMissing, SealBroken):
        return None


def _proof(tools: Toolbox, row: Row, repository: Repository, key: str) -> str | None:
    """A sentence, when a worker of ours wrote this for a backup that ended without it.

    What the stock tool makes of a snapshot of ours (by `tag` or `rewrite`) names its `original`
    and belongs to whoever made it; so does what has another time than the backup.
    """
    try:
        found = repository.snapshot(key.rpartition("/")[2])
    except (ObjectMissing, SealBroken):
        return None
    uids = [tag.removeprefix(_TAG) for tag in found.tags if tag.startswith(_TAG)]
    if len(uids) != 1 or found.original or found.extra.get("username") != _OURS:
        return None
    with tools.catalog.read() as session:
        ended = store_contents.ended_snapshot(session, row, uids[0])
        if ended is None or key in store_contents.snapshot_keys(session, row):
            return None
        backup, proof = ended
        return proof if found.time == backup.created * 1_000_000 else None


def _sweep(tools: Toolbox, store: ObjectStore, row: Row, group: Group, proof: str) -> None:
    now = tools.clock.now()
    with tools.catalog.write() as session:
        finding = object_check.report_leftover(session, row.destination_pk, group, proof, now)
    store.delete(group.prefix)
    log.info("leftovers removed", extra={"prefix": group.prefix, "proof": proof})
    with tools.catalog.write() as session:
        findings.settle(session, finding, f"removed at {rfc3339(now)}", now)
        repositories.prune_later(session, row.addon_pk, row.destination_pk, now)


def _drop_unfinished(tools: Toolbox, store: ObjectStore, row: Row, began: int) -> None:
    """Uploads that a dead worker left. One that is alive is over in minutes: a pack is small.

    Age proves nothing, a clock may have been ahead. What proves it is that nothing works on the
    addon after they were listed: then whoever wrote them has lost its hold, nothing it still
    finishes becomes part of a snapshot, and nobody ever writes under these names again.
    """
    old = [
        stat for stat in store.list(row.prefix, unfinished=True) if stat.modified < began - _DEAD_MS
    ]
    if not old:
        return
    with tools.catalog.read() as session:
        if operations.is_busy(session, row.addon_pk):
            return
    for stat in old:
        if not _is_there(store, stat.key):
            store.delete(stat.key)
            log.info("an unfinished upload was removed", extra={"key": stat.key})


def _is_there(store: ObjectStore, key: str) -> bool:
    try:
        store.stat(key)
    except ObjectMissing:
        return False
    return True


def _foreign(store: ObjectStore, ours: set[str], strangers: Strangers, began: int) -> None:
    """Repositories without a row: another installation may share the bucket. And what lies in one
    of ours but is none of its objects."""
    for prefix, members in groupby(store.list(ROOT), key=lambda stat: _shelf(stat.key)):
        group = Group(prefix, None)
        for stat in members:
            if prefix in ours and is_shaped(stat.key.removeprefix(prefix)):
                continue
            group.add(stat, visible=True)
        if group.objects:
            why = (
                "it is no object of a repository"
                if prefix in ours
                else "no repository here has this prefix"
            )
            strangers.add(group, why, began)


def _shelf(key: str) -> str:
    return repository_of(key) or neighbourhood(key)
