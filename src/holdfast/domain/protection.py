"""Is an addon protected, and if not, why and since when: one pure rule over facts and the time.

The facts are one row per addon, kept by whatever ends an operation or decides an occurrence; only
the time that passes is left for the rule. A success that was due counts, not one that ran: an addon
that cannot be reached, an occurrence that did not fire and a copy that is lost all show here.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise, takewhile

from holdfast.domain.archive import archiving
from holdfast.domain.archive.archiving import Archiving
from holdfast.domain.schedules.schedule import Scheduling, upcoming
from holdfast.domain.units import DAY_MS, MINUTE_MS, show_duration

RPO_SLACK_MS = 15 * MINUTE_MS
"""What a backup may take, from the instant it is due, before its addon counts as unprotected."""
FIRE_SLACK_MS = 5 * MINUTE_MS
"""How late a scheduler may decide an occurrence before that is a reason."""
PROOF_DAYS = 30
"""Within how many days a restore must have been proven, unless an objective says otherwise."""
HISTORY_DAYS = 14
_WEEK_MS = 7 * DAY_MS


class State(StrEnum):
    """The worst first, in the order in which lists show them."""

    UNPROTECTED = "unprotected"
    NO_PLAN = "no plan"
    AT_RISK = "at risk"
    PAUSED = "paused"
    PROTECTED = "protected"


ORDER = {state: number for number, state in enumerate(State)}


@dataclass(frozen=True, slots=True)
class Objective:
    """What was promised for an addon; None: the default.

    `max_age_ms`: how old the newest good recovery point may be. `max_restore_ms`: how long a
    restore may take. `proof_ms`: how long ago a restore must have been proven. `places`: how many
    stores must hold a good copy of it.
    """

    max_age_ms: int | None = None
    max_restore_ms: int | None = None
    proof_ms: int | None = None
    places: int | None = None

    def over(self, wider: "Objective") -> "Objective":
        """This one, with what it leaves open taken from a wider scope."""
        open_fields = {
            field.name: getattr(wider, field.name)
            for field in fields(self)
            if getattr(self, field.name) is None
        }
        return replace(self, **open_fields)


@dataclass(frozen=True, slots=True)
class Day:
    """What was due on one UTC day, and what came of it. `start` in ms since 1970.

    What is `due` and neither good, failed nor missed is still at work.
    """

    start: int
    due: int = 0
    good: int = 0
    failed: int = 0
    missed: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """What the catalogue knows of one addon. Instants in ms since 1970, None: never.

    `planned`: since when it has a schedule that is not paused, `plan_paused` since when all of them
    are. `last_good` is when the newest good backup of its own data was taken, `places` how many
    stores hold a good copy of it, `lost` how many of its copies are lost (since `lost_since`).
    `failing` is when the first of the backups that failed since was taken. `proven` is when a
    restore of one of its backups last ended well, or a drill passed, `proof_ms` how long that took.
    `drill_failing` is when its last drill failed, if none passed since. `archiving` is about its
    archived log; None: it has none.
    """

    created: int
    planned: int | None = None
    paused: int | None = None
    longest_gap_ms: int | None = None
    next_due: int | None = None
    first_good: int | None = None
    last_good: int | None = None
    places: int = 0
    lost: int = 0
    lost_since: int | None = None
    failing: int | None = None
    failure: str | None = None
    proven: int | None = None
    proof_ms: int | None = None
    drill_failing: int | None = None
    drill_failure: str | None = None
    plan_paused: int | None = None
    plan_paused_by: str | None = None
    archiving: Archiving | None = None

    @property
    def planned_since(self) -> int | None:
        """Since when something is done by itself: an archived log orders its own snapshots."""
        archived = self.archiving.since if self.archiving and self.archiving.wanted else None
        return min((at for at in (self.planned, archived) if at is not None), default=None)

    @property
    def first_recoverable(self) -> int | None:
        """The oldest instant that is certain to be restorable: a backup's, or a window's begin."""
        begin = self.archiving and self.archiving.window_begin
        return min((at for at in (self.first_good, begin) if at is not None), default=None)

    @property
    def last_recoverable(self) -> int | None:
        """The newest instant that can be restored: a backup's, or the end of a window."""
        end = self.archiving and self.archiving.window_end
        return max((at for at in (self.last_good, end) if at is not None), default=None)


class Code(StrEnum):
    """What a reason is about, for alarms."""

    PAUSED = "paused"
    NOT_SCHEDULED = "not scheduled"
    TOO_OLD = "too old"
    FAILING = "failing"
    OVERDUE = "overdue"
    NOT_YET = "not yet"
    LOST = "lost"
    TOO_FEW = "too few"
    UNPROVEN = "unproven"
    DRILL_FAILED = "drill failed"
    ARCHIVE = "archive"
    TOO_STRICT = "too strict"


@dataclass(frozen=True, slots=True)
class Reason:
    """One sentence, since when it holds in ms since 1970, and what it is about."""

    sentence: str
    since: int
    code: Code


@dataclass(frozen=True, slots=True)
class Protection:
    """`max_age_ms` is the objective that was held against the newest recovery point, None: none;
    `proof_within_ms` the one that was held against the last proven restore."""

    state: State
    reasons: Sequence[Reason]
    max_age_ms: int | None
    proof_within_ms: int

    @property
    def since(self) -> int | None:
        """When the state began, as far as its reasons tell; None when there is no reason."""
        return min((reason.since for reason in self.reasons), default=None)


@lru_cache(maxsize=4096)
def longest_gap(rules: tuple[Scheduling, ...]) -> int | None:
    """The longest time between two instants of these schedules together, in ms; None: no schedule.

    All rules repeat after a week at most, so one week and the first instant after it show it.
    """
    if not rules:
        return None
    in_a_week = 7 * 24 * 60  # a rule has no more instants than minutes
    instants = sorted(
        {
            instant
            for rule in rules
            for instant in takewhile(lambda at: at <= _WEEK_MS, upcoming(rule, 0, in_a_week))
        }
    )
    return max(later - earlier for earlier, later in pairwise([*instants, instants[0] + _WEEK_MS]))


def max_age_ms(objective: Objective, facts: Facts) -> int | None:
    """How old the newest recovery point may be; None: no plan says so."""
    if objective.max_age_ms is not None:
        return objective.max_age_ms
    if facts.longest_gap_ms is not None:
        return facts.longest_gap_ms + RPO_SLACK_MS
    return None if facts.planned_since is None else archiving.WINDOW_BEGINS_WITHIN_MS


def proof_within_ms(objective: Objective) -> int:
    """How long ago a restore may have been proven."""
    return PROOF_DAYS * DAY_MS if objective.proof_ms is None else objective.proof_ms


def judge(facts: Facts, objective: Objective, now: int) -> Protection:
    """The state of an addon at `now`, with every reason that speaks against it."""
    max_age, within = max_age_ms(objective, facts), proof_within_ms(objective)
    if facts.paused is not None:
        reason = Reason("the addon is paused: no backup is taken", facts.paused, Code.PAUSED)
        return Protection(State.PAUSED, [reason], max_age, within)
    if facts.plan_paused is not None:
        sentence = (
            f"its schedules are paused by {facts.plan_paused_by}: no backup is taken by itself"
        )
        reason = Reason(sentence, facts.plan_paused, Code.PAUSED)
        return Protection(State.PAUSED, [reason, *_not_archived(facts, now)], max_age, within)
    if facts.planned_since is None:
        sentence = "nothing is scheduled: no backup will be taken"
        reasons = [Reason(sentence, facts.created, Code.NOT_SCHEDULED)]
        if facts.last_good is None:
            reasons.append(Reason("never backed up", facts.created, Code.NOT_SCHEDULED))
        else:
            sentence = f"the last good backup is {show_duration(now - facts.last_good)} old"
            reasons.append(Reason(sentence, facts.last_good, Code.NOT_SCHEDULED))
        reasons += _failed_drill(facts)
        return Protection(State.NO_PLAN, reasons, max_age, within)
    severe = list(_unprotected(facts, max_age, now))
    doubts = list(_at_risk(facts, objective, now))
    if severe:
        return Protection(State.UNPROTECTED, [*severe, *doubts], max_age, within)
    state = State.AT_RISK if doubts else State.PROTECTED
    return Protection(state, doubts, max_age, within)


def _unprotected(facts: Facts, max_age: int | None, now: int) -> Iterator[Reason]:
    if max_age is None:
        return
    objective = show_duration(max_age)
    newest = facts.last_recoverable
    if newest is None:
        expected = (facts.planned_since or facts.created) + max_age
        if now > expected:
            yield Reason(f"never backed up; objective {objective}", expected, Code.TOO_OLD)
    elif now - newest > max_age:
        age = show_duration(now - newest)
        sentence = f"no good backup for {age}; objective {objective}"
        if facts.archiving is not None and newest == facts.archiving.window_end:
            sentence = f"nothing of the last {age} can be recovered; objective {objective}"
        yield Reason(sentence, newest + max_age, Code.TOO_OLD)


def _at_risk(facts: Facts, objective: Objective, now: int) -> Iterator[Reason]:
    yield from _not_archived(facts, now)
    for problem in problems(objective, facts).values():
        sentence = f"the objective {show_duration(objective.max_age_ms or 0)} {problem}"
        yield Reason(sentence, facts.planned or facts.created, Code.TOO_STRICT)
    if facts.failing is not None:
        why = f": {facts.failure}" if facts.failure else ""
        yield Reason(f"the newest backup failed{why}", facts.failing, Code.FAILING)
    if facts.next_due is not None and now - facts.next_due > FIRE_SLACK_MS:
        late = show_duration(now - facts.next_due)
        sentence = f"a backup is due for {late} and no scheduler fired it"
        yield Reason(sentence, facts.next_due, Code.OVERDUE)
    if facts.last_good is None:
        if facts.failing is None:
            since = facts.planned_since or facts.created
            yield Reason("not backed up yet", since, Code.NOT_YET)
        return
    if facts.lost:
        copies = facts.places + facts.lost
        sentence = f"{facts.lost} of {copies} copies of the newest good backup lost"
        yield Reason(sentence, facts.lost_since or now, Code.LOST)
    places = objective.places or 1
    if facts.places < places:
        yield Reason(
            f"{facts.places} of {places} stores hold a good copy of the newest good backup",
            facts.last_good,
            Code.TOO_FEW,
        )
    yield from _failed_drill(facts)
    yield from _unproven(facts, objective, now)


def _not_archived(facts: Facts, now: int) -> Iterator[Reason]:
    problem = archiving.problem(facts.archiving, now) if facts.archiving else None
    if problem is not None:
        yield Reason(*problem, Code.ARCHIVE)


def _failed_drill(facts: Facts) -> Iterator[Reason]:
    if facts.drill_failing is not None:
        sentence = f"the last drill failed: {facts.drill_failure}"
        yield Reason(sentence, facts.drill_failing, Code.DRILL_FAILED)


def _unproven(facts: Facts, objective: Objective, now: int) -> Iterator[Reason]:
    within = proof_within_ms(objective)
    promise = f"objective {show_duration(within)}"
    if facts.proven is None:
        first = facts.first_good if facts.first_good is not None else now
        if now - first > within:
            sentence = f"no restore was ever proven; {promise}"
            yield Reason(sentence, first + within, Code.UNPROVEN)
    elif now - facts.proven > within:
        age = show_duration(now - facts.proven)
        sentence = f"last proven restore {age} ago; {promise}"
        yield Reason(sentence, facts.proven + within, Code.UNPROVEN)
    limit = objective.max_restore_ms
    if limit is not None and facts.proof_ms is not None and facts.proof_ms > limit:
        took = show_duration(facts.proof_ms)
        sentence = f"the last proven restore took {took}; objective {show_duration(limit)}"
        yield Reason(sentence, facts.proven or now, Code.UNPROVEN)


def problems(objective: Objective, facts: Facts) -> dict[str, str]:
    """What an objective asks that its schedules cannot give, by field. An archived log can."""
    by_field: dict[str, str] = {}
    gap_ms = facts.longest_gap_ms
    if facts.archiving is not None and facts.archiving.wanted:
        return by_field
    if objective.max_age_ms is not None and gap_ms is not None and objective.max_age_ms < gap_ms:
        by_field["maxAgeMinutes"] = (
            f"cannot be met: the schedules leave {show_duration(gap_ms)} between two backups;"
            f" ask for at least {show_duration(gap_ms + RPO_SLACK_MS)}, or schedule more often"
        )
    return by_field


def with_day(days: Collection[Day], fresh: Collection[Day], now: int) -> list[Day]:
    """The history with some days counted anew, oldest first, no longer than HISTORY_DAYS."""
    first = now - now % DAY_MS - (HISTORY_DAYS - 1) * DAY_MS
    by_start = {day.start: day for day in days} | {day.start: day for day in fresh}
    return [by_start[start] for start in sorted(by_start) if start >= first]


def exit_status(states: Collection[State]) -> int:
    """0: all is protected or paused on purpose; 1: something is at risk; 2: something is not
    protected."""
    if State.UNPROTECTED in states or State.NO_PLAN in states:
        return 2
    return 1 if State.AT_RISK in states else 0
