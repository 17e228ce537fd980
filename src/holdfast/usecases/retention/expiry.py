"""Expires copies: marks those whose retention is over; they wait and are judged again. Or holds
all of that, for the whole installation.

Each function is one short transaction under the addon's lock, so any number of pruners may run
beside each other and beside callers; one finds done what another did.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.catalog import addons, backups, projects
from holdfast.catalog.database.session import ReadSession, WriteSession, lock_addon
from holdfast.catalog.schema import Backup
from holdfast.catalog.storage import copies, deletions, holdings
from holdfast.catalog.storage.deletions import Removal
from holdfast.catalog.storage.holdings import Holding, Holdings
from holdfast.domain.artifact import backup_prefix
from holdfast.domain.backup import BackupType
from holdfast.domain.errors import Forbidden
from holdfast.domain.retention.rules import Policy, State, within_share
from holdfast.kit.clock import rfc3339
from holdfast.usecases.context import Context


@dataclass(frozen=True)
class Pruned:
    """Numbers of copies that one run over an addon changed; `expired` are those left for a later
    run because this one had its share."""

    marked: int = 0
    called_off: int = 0
    expired: int = 0


def hold(context: Context, reason: str) -> None:
    """Stops retention of the whole installation at once.

    What is deleted by hand goes on, and so does what had begun: its objects may be gone already.
    """
    _require_all_projects(context)
    deletions.place_hold(context.session, context.caller.name, reason, context.now)


def release(context: Context, grace_ms: int) -> None:
    """Lets retention go on after the grace period, so that nothing goes the moment it is lifted."""
    _require_all_projects(context)
    deletions.lift_hold(context.session, context.now + grace_ms)


def _require_all_projects(context: Context) -> None:
    if context.caller.projects is not None:
        raise Forbidden("retention is held for all projects, so only by those that see them all")


def due(session: ReadSession, now: int, limit: int) -> list[int]:
    """Addons that are due for review, the longest waiting first."""
    return copies.to_review(session, now, limit)


def prune_due(session: WriteSession, addon_pk: int, now: int, policy: Policy) -> Pruned:
    """Runs over the addon, unless another pruner was faster."""
    lock_addon(session, addon_pk)
    if not copies.is_to_review(session, addon_pk, now):
        return Pruned()
    return prune_addon(session, addon_pk, now, policy)


def prune_addon(session: WriteSession, addon_pk: int, now: int, policy: Policy) -> Pruned:
    """Judges all copies of an addon: marks those that may go, calls off deletions of the others."""
    lock_addon(session, addon_pk)
    all_copies = holdings.of_addon(session, addon_pk)
    verdicts = all_copies.judged(now)
    waiting = deletions.open_of(
        session, [h.held.key for h in all_copies.present if h.marked is not None]
    )
    called_off = 0
    for verdict in verdicts:
        deletion = waiting.get(verdict.held.key)
        if deletion is not None and verdict.keep:
            deletions.call_off(session, deletion, "; ".join(verdict.reasons), now)
            called_off += 1
        elif deletion is not None:
            # A clock that was ahead when it marked them must not make them wait for years.
            deletion.due = min(deletion.due, now + policy.grace_ms)
    fresh = [verdict for verdict in verdicts if verdict.keep or verdict.held.key not in waiting]
    is_held = deletions.hold(session).placed is not None
    chosen = [] if is_held else within_share(fresh, policy.share)
    by_key = {holding.held.key: holding for holding in all_copies.present}
    stays = newest_good(all_copies)
    for verdict in chosen:
        holding = by_key[verdict.held.key]
        removal = Removal(
            verdict.held.key,
            verdict.held.destination_pk,
            removed_with(session, backups.get(session, verdict.held.backup), holding.objects),
            _why(holding, stays, policy),
            now + policy.grace_ms,
        )
        deletions.mark(session, removal, now)
    copies.postpone(session, addon_pk, now + policy.every_ms)
    expired = sum(not verdict.keep for verdict in fresh) - len(chosen)
    return Pruned(len(chosen), called_off, expired)


def newest_good(all_copies: Holdings) -> Holding | None:
    good = [holding for holding in all_copies.present if holding.held.state is State.GOOD]
    return max(good, key=lambda holding: holding.held.backup, default=None)


def _why(holding: Holding, stays: Holding | None, policy: Policy) -> str:
    """The sentence that explains the deletion even when all other rows are gone."""
    days = "1 day" if holding.retention == 1 else f"{holding.retention} days"
    duration = f" and was kept for {days}" if holding.retention else ""
    until = f", until {rfc3339(holding.held.expires)}" if holding.held.expires else ""
    state = {State.BAD: ", which failed,", State.VOID: ", which was aborted,", State.LOST:
            ", whose objects were found missing,"}.get(holding.held.state, "")  # fmt: skip
    beside = "no other backup is good" if stays is None else f"{stays.backup} is newer and good"
    hours = f"{policy.grace_ms / 3_600_000:g}"
    return (
        f"backup {holding.backup}{state} was asked for at {rfc3339(holding.taken)}"
        f"{duration}{until}; {beside}; marked with {hours} hours of grace"
    )


def removed_with(session: ReadSession, backup: Backup, objects: str | None) -> str:
    """The prefix that is deleted with a copy, even if its addon and project are deleted.

    For a dump its whole folder. For a snapshot its one object, which is `objects`, because its
    blocks belong to the repository; empty if there is none.
    """
    if backup.type == BackupType.SNAPSHOT:
        return objects or ""
    addon = addons.get(session, backup.addon_pk)
    project = projects.get(session, addon.project_pk)
    return backup_prefix(project.id, addon.id, backup.uid)


def put_off(session: ReadSession, now: int, policy: Policy) -> list[int]:
    """Addons whose next review a clock that was ahead put off for too long."""
    return copies.reviews_astray(session, now + policy.every_ms)


def set_right(session: WriteSession, addon_pks: Sequence[int], now: int) -> None:
    """Makes their next review due again when a copy expires."""
    for addon_pk in addon_pks:
        copies.review_again(session, addon_pk, now)
