"""Decides about deletions: judged again under the lock, the copies that stay proven, then begun.

Stores are never accessed inside a transaction. `decide` names the copies to prove; the pruner looks
at their objects and decides again with those that were proven. Between the last look and the
beginning lies one transaction under the addon's lock.
"""

import logging
from collections.abc import Collection, Mapping
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
from holdfast.domain.retention.rules import HeldCopy, State, floor

log = logging.getLogger(__name__)

LOST = "lost"
_SKEW_MS = 3_600_000
"""How far the clocks of our hosts may be apart."""


class Step(StrEnum):
    LEAVE = "leave"  # done, called off, or not due any more
    PROVE = "prove"  # first the floor must be looked at, and read if that was too long ago
    REMOVE = "remove"  # begun: nothing stops it now


@dataclass(frozen=True)
class Proof:
    """A copy that must be found in its store: `sizes` in bytes by name under `prefix`, a manifest.

    For a snapshot the prefix is its one object, and the packs of its repository are checked.
    `unread`: its bytes were not read in whole recently enough."""

    copy_pk: int
    destination_pk: int | None
    prefix: str
    sizes: Mapping[str, int]
    backup: str
    unread: bool


@dataclass(frozen=True)
class ReadingPeriod:
    """When bytes must have been read: since an instant, and at most `longest` ms ago. An instant
    ahead of the clock proves nothing."""

    since: int
    now: int
    longest: int

    def holds(self, instant: int | None) -> bool:
        return instant is not None and self.since <= instant <= self.now + _SKEW_MS


@dataclass(frozen=True)
class Decision:
    """What to do about a deletion. `address` identifies the store of the objects, if known."""

    step: Step
    destination_pk: int | None = None
    prefix: str = ""
    address: str | None = None
    floor: list[Proof] = field(default_factory=list[Proof])


def decide(
    session: WriteSession, pk: int, proven: frozenset[int], now: int, within_ms: int
) -> Decision:
    """Decides about one deletion, and begins it if nothing is left to prove.

    `proven` are copies whose objects were just seen. `within_ms`: the copies that stay must have
    been read at most so long ago.
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
        obstacle = _obstacle(session, deletion, copy, proven, now, within_ms)
        if obstacle is not None:
            return obstacle
        # From here on the copy counts no more; with its last copy the backup is hidden.
        deletions.begin(session, deletion, now)
        if not copies.others_stay(session, copy):
            backups.get(session, copy.backup_pk).deleted = now
    if copy is not None and backups.get(session, copy.backup_pk).type == BackupType.SNAPSHOT:
        # The copy may still be in progress when its backup is deleted. Only when that has ended
        # its row names the object to delete.
        if Status(copy.status) not in OVER:
            raise Conflict("the copy is still being made; it is removed when that is over")
        deletion.prefix = copy.objects or ""
    address = destinations.address_at(session, deletion.destination_pk)
    if deletions.is_elsewhere(deletion, address):
        raise Conflict(f"it was marked for objects in {deletion.place}; this is {address} now")
    return Decision(Step.REMOVE, deletion.destination_pk, deletion.prefix, address=address)


def finish(
    session: WriteSession,
    pk: int,
    now: int,
    outcome: Outcome = Outcome(),  # noqa: B008 - frozen
) -> None:
    """Ends a deletion that the store confirmed; the next prune removes a snapshot's blocks."""
    deletion = deletions.get(session, pk)
    copy = copies.get(session, deletion.copy_pk) if deletion and deletion.copy_pk else None
    if deletions.finish(session, pk, now, outcome) and copy is not None:
        backup = backups.get(session, copy.backup_pk)
        if backup.type == BackupType.SNAPSHOT:
            repositories.prune_later(session, copy.addon_pk, copy.destination_pk, now)


def _obstacle(
    session: WriteSession,
    deletion: Deletion,
    copy: Copy,
    proven: frozenset[int],
    now: int,
    within_ms: int,
) -> Decision | None:
    """What keeps the deletion from beginning: it is called off, or needs proofs; None: nothing.

    Retention deletes a copy because a newer one is good, so that one is read once more after the
    decision, unless it was written after it. A deletion by hand does not wait for that.
    """
    all_copies = holdings.of_addon(session, copy.addon_pk)
    backup = backups.get(session, copy.backup_pk)
    period = ReadingPeriod(now - within_ms, now, within_ms)
    if backup.deleted is not None:
        return _recheck_manual(session, all_copies, copy, backup, proven, period)
    verdict = next(verdict for verdict in all_copies.judged(now) if verdict.held.key == copy.pk)
    if verdict.keep:
        deletions.call_off(session, deletion, "; ".join(verdict.reasons), now)
        return Decision(Step.LEAVE)
    if deletions.is_held(session, now):
        return Decision(Step.LEAVE)
    since = max(period.since, min(deletion.created, now))
    period = ReadingPeriod(since, now, within_ms)
    return _unproven(session, all_copies, verdict.held, proven, period)


def _recheck_manual(
    session: WriteSession,
    all_copies: Holdings,
    copy: Copy,
    backup: Backup,
    proven: frozenset[int],
    period: ReadingPeriod,
) -> Decision | None:
    """Checks that a backup deleted by hand, without force, is still not the last good one."""
    if not copies.is_good(copy):
        return None
    if not any(holding.held.state is State.GOOD for holding in all_copies.present):
        why = "it is the last good backup of the addon now; deleting that one needs force"
        for deletion in deletions.open_of(session, copies.pks_of(session, backup.pk)).values():
            if deletion.begun is None:
                deletions.call_off(session, deletion, why, period.now)
        backup.deleted = None
        return Decision(Step.LEAVE)
    going = HeldCopy(copy.pk, copy.backup_pk, copy.destination_pk, State.GOOD, copy.expires)
    return _unproven(session, all_copies, going, proven, period)


def _unproven(
    session: ReadSession,
    all_copies: Holdings,
    going: HeldCopy,
    proven: frozenset[int],
    period: ReadingPeriod,
) -> Decision | None:
    """The proofs that are needed before `going` may be deleted; None: none."""
    if going.state not in (State.GOOD, State.LOST):
        return None  # nothing of worth is lost with it
    by_key = {holding.held.key: holding for holding in all_copies.present}
    required = [by_key[copy.key] for copy in floor(all_copies.held, going)]
    required += bases_to_prove(all_copies, all_copies.bases(period.now) - {going.backup}, proven)
    proofs = [
        proof_of(session, holding, period)
        for holding in {holding.held.key: holding for holding in required}.values()
        if holding.held.key not in proven
    ]
    return Decision(Step.PROVE, floor=proofs) if proofs else None


def bases_to_prove(
    all_copies: Holdings, bases: Collection[int], proven: Collection[int]
) -> list[Holding]:
    """A good copy of each snapshot that an archived log needs, if none of its copies is proven."""
    good: dict[int, list[Holding]] = {}
    for holding in all_copies.present:
        if holding.held.backup in bases and holding.held.good:
            good.setdefault(holding.held.backup, []).append(holding)
    return [
        candidates[0]
        for candidates in good.values()
        if not any(holding.held.key in proven for holding in candidates)
    ]


def proof_of(session: ReadSession, holding: Holding, period: ReadingPeriod) -> Proof:
    """What has to be seen of a copy. Packs of snapshots are shared and read a share at a time, so
    for these only the longest time counts, plus half of it for late store checks."""
    copy_pk = holding.held.key
    backup = backups.with_evidence(session, holding.held.backup)
    copy = copies.get(session, copy_pk)
    if copy is None or backup.type != BackupType.SNAPSHOT:
        is_unread = copy is None or not period.holds(copy.read_at)
    else:
        row = repositories.find(session, copy.addon_pk, copy.destination_pk)
        late = replace(period, since=period.now - period.longest * 3 // 2)
        is_unread = row is None or not late.holds(repositories.read_in_whole(row))
    return Proof(
        copy_pk=copy_pk,
        destination_pk=holding.held.destination_pk,
        prefix=holding.objects or "",
        sizes=store_contents.sizes_of(backup.evidence),
        backup=holding.backup,
        unread=is_unread,
    )


def ask_to_read(session: WriteSession, copy_pk: int, now: int) -> None:
    """Requests a reading of a copy as soon as possible, because a deletion waits for it."""
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
    """Records that every byte of a dump, read from `began` on, is as it was written."""
    copy = copies.get(session, copy_pk)
    if copy is None:
        return
    lock_addon(session, copy.addon_pk)
    dump_checks.was_right(session, copy_pk, began)
    if copy.lost is not None:
        find(session, copy_pk, now)
    deletions.hasten(session, copy.addon_pk)


def spoil(session: WriteSession, copy_pk: int, problem: str, now: int) -> None:
    """Records that bytes of a dump are not what was written; it is lost until they are."""
    lose(session, copy_pk, problem, now)
    dump_checks.was_wrong(session, copy_pk, problem, now)


def lose(session: WriteSession, copy_pk: int, problem: str, now: int) -> None:
    """Marks a completed copy as lost, so that it no longer counts as good, and reports it."""
    copy = copies.get(session, copy_pk)
    if copy is None:
        return
    lock_addon(session, copy.addon_pk)
    copy = copies.get(session, copy_pk)
    if copy is None or copy.gone is not None or copy.status != Status.COMPLETED:
        return
    if copies.is_being_removed(session, copy):
        return
    destination_pk, prefix = copy.destination_pk, copy.objects or ""
    findings.report(session, Sighting(destination_pk, LOST, prefix, problem, copy_pk=copy_pk), now)
    if copy.lost is None:
        copies.lose(session, copy_pk, now)
        copies.review_again(session, copy.addon_pk, now)
        log.error("a backup is lost", extra={"copy": copy_pk, "problem": problem})


def find(session: WriteSession, copy_pk: int, now: int) -> None:
    """Marks a copy as found: its objects are there again. A copy with wrong bytes is found only by
    reading it."""
    copy = copies.get(session, copy_pk)
    if copy is None or copy.spoiled is not None:
        return
    copies.lose(session, copy_pk, None)
    for finding in findings.open_of_copy(session, copy_pk):
        findings.settle(session, finding.pk, "all its objects are there again", now)
