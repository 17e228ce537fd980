"""What will become of an addon's copies if nothing changes: when each goes, or why it does not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from holdfast.domain.retention.rules import Policy, Reason, Verdict, earliest, most_at_once


class Fate(StrEnum):
    KEPT = "kept"
    EXPIRED = "expired"  # the next prune runs mark it
    MARKED = "marked"  # waits for its deletion
    GOING = "going"  # being removed
    STUCK = "stuck"  # its removal was tried in vain


@dataclass(frozen=True, slots=True)
class Outlook:
    """`goes` is when it is removed if nothing changes; `earliest` is when a kept copy could be,
    if what else speaks for it ceases. Neither: never by itself."""

    verdict: Verdict
    fate: Fate
    goes: int | None = None
    earliest: int | None = None


def foresee(
    verdicts: Sequence[Verdict], waiting: Mapping[int, int], next_run: int, now: int, policy: Policy
) -> list[Outlook]:
    """In the order of `verdicts`. `waiting` is by copy when a marked one is due; `next_run` when
    the addon is pruned next."""
    runs = _runs(verdicts, waiting, policy)
    return [_outlook(each, waiting, runs, max(next_run, now), policy) for each in verdicts]


def _runs(
    verdicts: Sequence[Verdict], waiting: Mapping[int, int], policy: Policy
) -> dict[int, int]:
    """Expired backup to the number of runs that go before the one that marks it."""
    fresh = [each.held.backup for each in verdicts if each.keep or each.held.key not in waiting]
    drops = [v.held.backup for v in verdicts if not v.keep and v.held.key not in waiting]
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
        return _kept(verdict, next_run, policy)
    due = waiting.get(verdict.held.key)
    if due is not None:
        return Outlook(verdict, Fate.MARKED, due)
    marked = next_run + runs[verdict.held.backup] * policy.every_ms
    return Outlook(verdict, Fate.EXPIRED, marked + policy.grace_ms)


_ONLY_TIME = (Reason.NOT_YET,)


def _kept(verdict: Verdict, now: int, policy: Policy) -> Outlook:
    at = earliest(verdict, now)
    if at is None:
        return Outlook(verdict, Fate.KEPT)
    if verdict.reasons == _ONLY_TIME:
        return Outlook(verdict, Fate.KEPT, at + policy.grace_ms)
    return Outlook(verdict, Fate.KEPT, None, at + policy.grace_ms)
