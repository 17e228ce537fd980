"""The rule for due schedules of one addon: which instants run, are skipped or are missed.

Every instant gets exactly one decision. The newest due instant runs, however late, if it lies
within the catch-up window; those before it are missed together. Schedules that want the same backup
share one run. A schedule whose previous run still waits is skipped, unless others need the run.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from holdfast.domain.schedules.schedule import Outcome, Scheduling, count_due, latest_due
from holdfast.domain.units import DAY_MS, HOUR_MS, MINUTE_MS, show_instant


@dataclass(frozen=True, slots=True)
class Due:
    """A due schedule; `since` is its first undecided instant, which is not in the future.

    Schedules with the same `wish` share one backup. `waiting` is the backup of the previous run
    while that has not begun.
    """

    key: int
    rule: Scheduling
    since: int
    wish: Hashable
    waiting: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome of `count` instants of a schedule, from `since` to `instant`.

    `backup` is the one that still waits, when that is the reason.
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
    """The runs to start, and the decisions about all other due instants."""
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
            moment = show_instant(latest)
            reason = f"nothing was there to fire it; the one of {moment} stands for it"
            others.append(missed(due, latest_due(due.rule, latest - 1), reason))
    runs: list[Run] = []
    for group in wishes.values():
        if all(due.waiting is not None for due in group):
            for due in group:
                instant = latest_due(due.rule, now)
                reason = "the backup of an occurrence before it had not begun yet"
                skipped = (due.key, instant, instant, 1, Outcome.SKIPPED, reason, due.waiting)
                others.append(Decision(*skipped))
        else:
            fired = [_fired(due, now) for due in group]
            runs.append(Run(max(decision.instant for decision in fired), fired))
    return runs, others


def missed(due: Due, until: int, reason: str) -> Decision:
    """One decision for all instants from `due.since` to `until`, which is the last of them."""
    count = count_due(due.rule, due.since - 1, until)
    return Decision(due.key, due.since, until, count, Outcome.MISSED, reason)


def _fired(due: Due, now: int) -> Decision:
    instant = latest_due(due.rule, now)
    late = now - instant
    reason = "on time" if late < MINUTE_MS else f"{_span(late)} late"
    before = count_due(due.rule, due.since - 1, instant) - 1
    if before:
        reason += f", also for {before} missed before it"
    return Decision(due.key, instant, instant, 1, Outcome.FIRED, reason)


def _span(ms: int) -> str:
    """A readable duration, rounded down: `90 min`, `30 h`, `12 d`."""
    for unit, size in (("d", DAY_MS), ("h", HOUR_MS)):
        if ms >= 2 * size:
            return f"{ms // size} {unit}"
    return f"{ms // MINUTE_MS} min"
