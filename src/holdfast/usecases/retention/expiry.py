"""Retention at work: what expired is marked, waits, is judged again, and only then begins to go.

Each function is one short transaction under the addon's lock, so any number of janitors may run
beside each other and beside callers; what one of them did, the next finds done.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.catalog import addons, backups, projects
from holdfast.catalog.database.session import ReadSession, WriteSession, lock_addon
from holdfast.catalog.schema import Backup, Deletion
from holdfast.catalog.storage import copies, deletions, holdings
from holdfast.catalog.storage.deletions import Doomed
from holdfast.catalog.storage.holdings import Holding, Holdings
from holdfast.domain.artifact import backup_prefix
from holdfast.domain.backup import BackupType
from holdfast.domain.retention.rules import Policy, State, Verdict, within_share
from holdfast.kit.clock import rfc3339


@dataclass(frozen=True)
class Pruned:
    """What one look at an addon changed, in copies; `expired` are those that wait for a later
    run because this one had its share."""

    marked: int = 0
    called_off: int = 0
    expired: int = 0


def due(session: ReadSession, now: int, limit: int) -> list[int]:
    """Addons to be looked at, the longest waiting first."""
    return copies.to_review(session, now, limit)


def prune_due(session: WriteSession, addon_pk: int, now: int, policy: Policy) -> Pruned:
    """One run for the addon, unless another janitor was faster."""
    lock_addon(session, addon_pk)
    if not copies.is_to_review(session, addon_pk, now):
        return Pruned()
    return prune_addon(session, addon_pk, now, policy)


def prune_addon(session: WriteSession, addon_pk: int, now: int, policy: Policy) -> Pruned:
    """Judges all copies of the addon; marks those that may go, calls off what may not any more."""
    lock_addon(session, addon_pk)
    held = holdings.of_addon(session, addon_pk)
    verdicts = held.judged(now)
    waiting = deletions.open_of(session, [h.held.key for h in held.present if h.marked is not None])
    called_off = _call_off(session, verdicts, waiting, now)
    _draw_near(verdicts, waiting, now + policy.grace_ms)
    fresh = [each for each in verdicts if each.keep or each.held.key not in waiting]
    chosen = within_share(fresh, policy.share)
    _mark(session, held, chosen, now, policy)
    copies.postpone(session, addon_pk, now + policy.every_ms)
    expired = sum(not each.keep for each in fresh) - len(chosen)
    return Pruned(len(chosen), called_off, expired)


def _call_off(
    session: WriteSession, verdicts: Sequence[Verdict], waiting: dict[int, Deletion], now: int
) -> int:
    saved = [each for each in verdicts if each.keep and each.held.key in waiting]
    for verdict in saved:
        deletions.call_off(session, waiting[verdict.held.key], "; ".join(verdict.reasons), now)
    return len(saved)


def _draw_near(verdicts: Sequence[Verdict], waiting: dict[int, Deletion], latest: int) -> None:
    """A clock that was ahead when it marked them must not make them wait for years."""
    for verdict in verdicts:
        deletion = waiting.get(verdict.held.key)
        if deletion is not None and not verdict.keep:
            deletion.due = min(deletion.due, latest)


def _mark(
    session: WriteSession, held: Holdings, chosen: Sequence[Verdict], now: int, policy: Policy
) -> None:
    by_key = {each.held.key: each for each in held.present}
    stays = newest_good(held)
    for verdict in chosen:
        holding = by_key[verdict.held.key]
        backup = backups.get(session, verdict.held.backup)
        doomed = Doomed(
            verdict.held.key,
            verdict.held.place,
            removed_with(session, backup, holding.objects),
            _why(holding, stays, policy),
            now + policy.grace_ms,
        )
        deletions.mark(session, doomed, now)


def newest_good(held: Holdings) -> Holding | None:
    good = [each for each in held.present if each.held.state is State.GOOD]
    return max(good, key=lambda each: each.held.backup, default=None)


def _why(holding: Holding, stays: Holding | None, policy: Policy) -> str:
    """The sentence that still explains the deletion when everything else is gone."""
    kept = f" and was kept for {_days(holding.retention)}" if holding.retention else ""
    until = f", until {rfc3339(holding.held.expires)}" if holding.held.expires else ""
    what = {State.BAD: ", which failed,", State.VOID: ", which was aborted,", State.LOST:
            ", whose objects were found missing,"}.get(holding.held.state, "")  # fmt: skip
    beside = "no other backup is good" if stays is None else f"{stays.backup} is newer and good"
    hours = f"{policy.grace_ms / 3_600_000:g}"
    return (
        f"backup {holding.backup}{what} was asked for at {rfc3339(holding.taken)}{kept}{until}; "
        f"{beside}; marked with {hours} hours of grace"
    )


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


def removed_with(session: ReadSession, backup: Backup, objects: str | None) -> str:
    """What goes with a copy, whatever became of its addon and project.

    Of a dump everything under its folder. Of a snapshot exactly its one object, which is what
    `objects` names; empty when there is none: its blocks belong to the repository.
    """
    if backup.type == BackupType.SNAPSHOT:
        return objects or ""
    addon = addons.get(session, backup.addon_pk)
    project = projects.get(session, addon.project_pk)
    return backup_prefix(project.id, addon.id, backup.uid)


def put_off(session: ReadSession, now: int, policy: Policy) -> list[int]:
    """Addons whose next look a clock that was ahead put off for too long."""
    return copies.reviews_astray(session, now + policy.every_ms)


def set_right(session: WriteSession, addon_pks: Sequence[int], now: int) -> None:
    """Their next look is due again when something expires."""
    for addon_pk in addon_pks:
        copies.review_again(session, addon_pk, now)
