"""Forecast of retention: when each copy of an addon will be deleted, or why it stays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from holdfast.domain.retention.rules import Policy, Reason, Verdict, earliest, most_at_once


class Fate(StrEnum):
    KEPT = "kept"
    EXPIRED = "expired"  # one of the next runs marks it
    MARKED = "marked"  # waits for its deletion
    GOING = "going"  # being removed
    STUCK = "stuck"  # its removal was tried in vain


_ONLY_TIME = (Reason.NOT_YET,)


@dataclass(frozen=True, slots=True)
class Outlook:
    """`goes` is when the copy is deleted if nothing changes; `earliest` is when a kept copy
    could be deleted once its other reasons to stay end. Neither: it never goes by itself."""

    verdict: Verdict
    fate: Fate
    goes: int | None = None
    earliest: int | None = None


def foresee(
    verdicts: Sequence[Verdict], waiting: Mapping[int, int], next_run: int, now: int, policy: Policy
) -> list[Outlook]:
    """An outlook for each verdict, in order. `waiting` maps marked copies to the instant their
    deletion is due; `next_run` is when retention judges the addon next."""
    runs = _runs(verdicts, waiting, policy)
    return [_outlook(verdict, waiting, runs, max(next_run, now), policy) for verdict in verdicts]


def _runs(
    verdicts: Sequence[Verdict], waiting: Mapping[int, int], policy: Policy
) -> dict[int, int]:
    """Maps expired backups to the number of runs before the one that marks them."""
    fresh = [
        verdict.held.backup
        for verdict in verdicts
        if verdict.keep or verdict.held.key not in waiting
    ]
    drops = [
        dropped.held.backup
        for dropped in verdicts
        if not dropped.keep and dropped.held.key not in waiting
    ]
    total, runs, number = set(fresh), dict[int, int](), 0
    rest = sorted(set(drops))
    while rest:
        most = most_at_once(total, policy.share)
        runs |= dict.fromkeys(rest[:most], number)
        total.difference_update(rest[:most])
        rest, number = rest[most:], number + 1
    return runs


def _outlook(
    verdict: Verdict,
    waiting: Mapping[int, int],
    runs: Mapping[int, int],
    next_run: int,
    policy: Policy,
) -> Outlook:
    if verdict.keep:
        at = earliest(verdict, next_run)
        if at is None:
            return Outlook(verdict, Fate.KEPT)
        if verdict.reasons == _ONLY_TIME:
            return Outlook(verdict, Fate.KEPT, at + policy.grace_ms)
        return Outlook(verdict, Fate.KEPT, None, at + policy.grace_ms)
    due = waiting.get(verdict.held.key)
    if due is not None:
        return Outlook(verdict, Fate.MARKED, due)
    marked = next_run + runs[verdict.held.backup] * policy.every_ms
    return Outlook(verdict, Fate.EXPIRED, marked + policy.grace_ms)
