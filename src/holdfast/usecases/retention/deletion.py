"""Carrying out one deletion: judged again under the lock, the floor looked at, then begun.

The store is never asked inside a transaction. `decide` says what has to be proven first; whoever
carries it out looks, and asks again with what was proven. Between the last look and the beginning
lies one transaction under the addon's lock.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from holdfast.catalog import backups, destinations
from holdfast.catalog.database.session import ReadSession, WriteSession, lock_addon
from holdfast.catalog.schema import Backup, Copy, Deletion
from holdfast.catalog.storage import (
    copies,
    deletions,
    dump_checks,
    findings,
    holdings,
    repositories,
    store_contents,
)
from holdfast.catalog.storage.deletions import Outcome
from holdfast.catalog.storage.findings import Sighting
from holdfast.catalog.storage.holdings import Holding, Holdings
from holdfast.catalog.work import chores
from holdfast.domain.backup import BackupType
from holdfast.domain.errors import Conflict
from holdfast.domain.operation import OVER, Status
from holdfast.domain.retention.rules import Held, State, floor

log = logging.getLogger(__name__)

LOST = "lost"
_SKEW_MS = 3_600_000
"""How far the clocks of our hosts may be apart."""


class Step(StrEnum):
    LEAVE = "leave"  # done, called off, or not due any more
    PROVE = "prove"  # the floor has to be looked at first, and read where that was too long ago
    REMOVE = "remove"  # begun: nothing stops it now


@dataclass(frozen=True)
class Proof:
    """What must be found in a store: `sizes` in bytes by name under `prefix`, and a manifest.

    For a snapshot the prefix is its one object, and the packs of its repository are looked at.
    `unread`: its bytes were not read in whole since they must have been."""

    copy_pk: int
    place: int | None
    prefix: str
    sizes: Mapping[str, int]
    backup: str
    unread: bool


@dataclass(frozen=True)
class Span:
    """From when to when something must have been read, and the longest time without. What is
    ahead of the clock says nothing."""

    since: int
    now: int
    longest: int

    def holds(self, instant: int | None) -> bool:
        return instant is not None and self.since <= instant <= self.now + _SKEW_MS


@dataclass(frozen=True)
class Decision:
    """`address` is what the objects at `place` are known by, where that is known."""

    step: Step
    place: int | None = None
    prefix: str = ""
    address: str | None = None
    floor: list[Proof] = field(default_factory=list[Proof])


def decide(
    session: WriteSession, pk: int, proven: frozenset[int], now: int, within_ms: int
) -> Decision:
    """`proven` are copies whose objects were just seen. Begins the removal when all is well.

    `within_ms`: how long ago the bytes of what stays may have been read at most.
    """
    deletion = deletions.get(session, pk)
    copy = copies.get(session, deletion.copy_pk) if deletion and deletion.copy_pk else None
    if deletion is None:
        return Decision(Step.LEAVE)
    if copy is not None:
        lock_addon(session, copy.addon_pk)
        deletion, copy = deletions.get(session, pk), copies.get(session, copy.pk)
    if deletion is None or deletion.done is not None or not deletions.is_due(deletion, now):
        return Decision(Step.LEAVE)
    if deletion.begun is None and copy is not None:
        missing = _still_to_do(session, deletion, copy, proven, (now, within_ms))
        if missing is not None:
            return missing
        _begin(session, deletion, copy, now)
    if copy is not None:
        _require_rest(session, deletion, copy)
    address = destinations.place_at(session, deletion.destination_pk)
    if deletions.is_elsewhere(deletion, address):
        raise Conflict(f"it was marked for objects in {deletion.place}; this is {address} now")
    return Decision(Step.REMOVE, deletion.destination_pk, deletion.prefix, address=address)


def _require_rest(session: WriteSession, deletion: Deletion, copy: Copy) -> None:
    """A snapshot's copy may still be on its way when its backup is deleted. Once it is over, its
    row says which object there is to remove; Conflict before."""
    backup = backups.get(session, copy.backup_pk)
    if backup.type != BackupType.SNAPSHOT:
        return
    if Status(copy.status) not in OVER:
        raise Conflict("the copy is still being made; it is removed when that is over")
    deletion.prefix = copy.objects or ""


def finish(
    session: WriteSession,
    pk: int,
    now: int,
    said: Outcome = Outcome(),  # noqa: B008 - frozen
) -> None:
    """The store confirmed it. What the snapshot alone needed goes with the next tidying."""
    deletion = deletions.get(session, pk)
    copy = copies.get(session, deletion.copy_pk) if deletion and deletion.copy_pk else None
    if deletions.finish(session, pk, now, said) and copy is not None:
        backup = backups.get(session, copy.backup_pk)
        if backup.type == BackupType.SNAPSHOT:
            repositories.prune_later(session, copy.addon_pk, copy.destination_pk, now)


def _still_to_do(
    session: WriteSession,
    deletion: Deletion,
    copy: Copy,
    proven: frozenset[int],
    when: tuple[int, int],
) -> Decision | None:
    """What keeps it from beginning; None: nothing. `when`: now, and the longest time unread.

    What retention removes goes because a newer one is good: that one is read once more after the
    decision, unless it was written after it. Somebody who deletes by hand does not wait for that.
    """
    now, within_ms = when
    held = holdings.of_addon(session, copy.addon_pk)
    backup = backups.get(session, copy.backup_pk)
    bounds = Span(now - within_ms, now, within_ms)
    if backup.deleted is not None:
        return _by_hand(session, held, (copy, backup), proven, bounds)
    verdict = next(each for each in held.judged(now) if each.held.key == copy.pk)
    if verdict.keep:
        deletions.call_off(session, deletion, "; ".join(verdict.reasons), now)
        return Decision(Step.LEAVE)
    since = max(bounds.since, min(deletion.created, now))
    return _unproven(session, held, verdict.held, proven, Span(since, now, within_ms))


def _by_hand(
    session: WriteSession,
    held: Holdings,
    what: tuple[Copy, Backup],
    proven: frozenset[int],
    bounds: Span,
) -> Decision | None:
    """Somebody deleted it without force because another backup was good: is that still so?"""
    copy, backup = what
    if not copies.is_good(copy):
        return None
    if not any(each.held.state is State.GOOD for each in held.present):
        why = "it is the last good backup of the addon now; deleting that one needs force"
        for each in deletions.open_of(session, copies.pks_of(session, backup.pk)).values():
            if each.begun is None:
                deletions.call_off(session, each, why, bounds.now)
        backup.deleted = None
        return Decision(Step.LEAVE)
    going = Held(copy.pk, copy.backup_pk, copy.destination_pk, State.GOOD, copy.expires)
    return _unproven(session, held, going, proven, bounds)


def _unproven(
    session: ReadSession, held: Holdings, going: Held, proven: frozenset[int], bounds: Span
) -> Decision | None:
    if going.state not in (State.GOOD, State.LOST):
        return None  # nothing of worth is lost with it
    by_key = {each.held.key: each for each in held.present}
    wanted = [each for each in floor(held.held, going) if each.key not in proven]
    if not wanted:
        return None
    proofs = [_proof(session, by_key[each.key], bounds) for each in wanted]
    return Decision(Step.PROVE, floor=proofs)


def _proof(session: ReadSession, holding: Holding, bounds: Span) -> Proof:
    backup = backups.with_evidence(session, holding.held.backup)
    return Proof(
        copy_pk=holding.held.key,
        place=holding.held.place,
        prefix=holding.objects or "",
        sizes=store_contents.sizes_of(backup.evidence),
        backup=holding.backup,
        unread=_is_unread(session, backup, holding.held.key, bounds),
    )


def _is_unread(session: ReadSession, backup: Backup, copy_pk: int, bounds: Span) -> bool:
    """Packs of snapshots are shared and read a share at a time, so for these the longest time
    counts alone, with half of it on top for inventories that come late."""
    copy = copies.get(session, copy_pk)
    if copy is None or backup.type != BackupType.SNAPSHOT:
        return copy is None or not bounds.holds(copy.read_at)
    row = repositories.find(session, copy.addon_pk, copy.destination_pk)
    late = replace(bounds, since=bounds.now - bounds.longest * 3 // 2)
    return row is None or not late.holds(repositories.read_in_whole(row))


def ask_to_read(session: WriteSession, copy_pk: int, now: int) -> None:
    """What has to be read before something else may go is read as soon as possible."""
    copy = copies.get(session, copy_pk)
    if copy is None:
        return
    if backups.get(session, copy.backup_pk).type != BackupType.SNAPSHOT:
        dump_checks.ask(session, [copy_pk], now)
        return
    row = repositories.find(session, copy.addon_pk, copy.destination_pk)
    if row is not None:
        chores.ask(session, chores.reading_of(row.pk), now)
        chores.ask(session, chores.audit_of(row.destination_pk), now)


def found_right(session: WriteSession, copy_pk: int, began: int, now: int) -> None:
    """Every byte of a dump was read from `began` on and is as it was written."""
    copy = copies.get(session, copy_pk)
    if copy is None:
        return
    lock_addon(session, copy.addon_pk)
    dump_checks.was_right(session, copy_pk, began)
    if copy.lost is not None:
        find(session, copy_pk, now)
    deletions.hasten(session, copy.addon_pk)


def spoil(session: WriteSession, copy_pk: int, problem: str, now: int) -> None:
    """Bytes of a dump are not what was written: it is lost until they are."""
    lose(session, copy_pk, problem, now)
    dump_checks.was_wrong(session, copy_pk, problem, now)


def _begin(session: WriteSession, deletion: Deletion, copy: Copy, now: int) -> None:
    """From here on nobody counts on this copy; with its last one the backup is hidden."""
    deletions.begin(session, deletion, now)
    if not copies.others_stay(session, copy):
        backups.get(session, copy.backup_pk).deleted = now


def lose(session: WriteSession, copy_pk: int, problem: str, now: int) -> None:
    """A completed copy without its objects no longer counts as good, and somebody must know."""
    copy = copies.get(session, copy_pk)
    if copy is None:
        return
    lock_addon(session, copy.addon_pk)
    copy = copies.get(session, copy_pk)
    if copy is None or copy.gone is not None or copy.status != Status.COMPLETED:
        return
    if copies.being_removed(session, copy):
        return
    place, prefix = copy.destination_pk, copy.objects or ""
    findings.report(session, Sighting(place, LOST, prefix, problem, copy_pk=copy_pk), now)
    if copy.lost is None:
        copies.lose(session, copy_pk, now)
        copies.review_again(session, copy.addon_pk, now)
        log.error("a backup is lost", extra={"copy": copy_pk, "problem": problem})


def find(session: WriteSession, copy_pk: int, now: int) -> None:
    """What was missing is there again, whole. Whose bytes were wrong is found by reading alone."""
    copy = copies.get(session, copy_pk)
    if copy is None or copy.spoiled is not None:
        return
    copies.lose(session, copy_pk, None)
    for finding in findings.open_of_copy(session, copy_pk):
        findings.settle(session, finding.pk, "all its objects are there again", now)
