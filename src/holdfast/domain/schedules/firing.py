"""What to do about schedules that are due: one pure rule for all those of one addon.

Every instant gets exactly one decision. The newest one that is due runs, however late, if it lies
within the catch-up window; those before it are missed, together. Schedules that want the same are
one run. A schedule whose run before still waits gets no second one, unless others need the run.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from holdfast.domain.schedules.schedule import Outcome, Scheduling, count_due, latest_due

_MINUTE = 60_000
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR


@dataclass(frozen=True, slots=True)
class Due:
    """A schedule and its first instant without a decision, `since`, which is not in the future.

    Schedules with the same `wish` make one backup. `waiting` is the backup of its run before,
    while that has not begun.
    """

    key: int
    rule: Scheduling
    since: int
    wish: Hashable
    waiting: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """About `count` instants of a schedule, the first `since`, the last `instant`.

    `backup` is the one that still waits, where that is why.
    """

    key: int
    since: int
    instant: int
    count: int
    outcome: Outcome
    reason: str
    backup: int | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One backup to be made, and the schedules that cause it."""

    instant: int
    fired: Sequence[Decision]


def decide(dues: Iterable[Due], now: int, window: int) -> tuple[list[Run], list[Decision]]:
    """The runs to be made, and what is decided about all other instants that are due."""
    others: list[Decision] = []
    wishes: dict[Hashable, list[Due]] = {}
    for due in dues:
        latest = latest_due(due.rule, now)
        if now - latest > window:
            reason = f"nothing was there to fire it for more than {_span(window)}"
            others.append(missed(due, latest, reason))
            continue
        wishes.setdefault(due.wish, []).append(due)
        if due.since < latest:
            reason = f"nothing was there to fire it; the one of {_moment(latest)} stands for it"
            others.append(missed(due, latest_due(due.rule, latest - 1), reason))
    runs: list[Run] = []
    for group in wishes.values():
        if all(due.waiting is not None for due in group):
            others += _skipped(group, now)
        else:
            fired = [_fired(due, now) for due in group]
            runs.append(Run(max(each.instant for each in fired), fired))
    return runs, others


def missed(due: Due, until: int, reason: str) -> Decision:
    """All instants from `due.since` to `until`, the last of them."""
    count = count_due(due.rule, due.since - 1, until)
    return Decision(due.key, due.since, until, count, Outcome.MISSED, reason)


def _skipped(group: Iterable[Due], now: int) -> Iterator[Decision]:
    for due in group:
        instant = latest_due(due.rule, now)
        reason = "the backup of an occurrence before it had not begun yet"
        yield Decision(due.key, instant, instant, 1, Outcome.SKIPPED, reason, due.waiting)


def _fired(due: Due, now: int) -> Decision:
    instant = latest_due(due.rule, now)
    late = now - instant
    reason = "on time" if late < _MINUTE else f"{_span(late)} late"
    before = count_due(due.rule, due.since - 1, instant) - 1
    if before:
        reason += f", also for {before} missed before it"
    return Decision(due.key, instant, instant, 1, Outcome.FIRED, reason)


def _span(ms: int) -> str:
    """`90 min`, `30 h`, `12 d`: what a person grasps, never more than there is."""
    for unit, size in (("d", _DAY), ("h", _HOUR)):
        if ms >= 2 * size:
            return f"{ms // size} {unit}"
    return f"{ms // _MINUTE} min"


def _moment(instant: int) -> str:
    return f"{datetime.fromtimestamp(instant / 1000, UTC):%Y-%m-%d %H:%M} UTC"
