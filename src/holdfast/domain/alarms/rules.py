"""Alarms: what is wrong, how bad it is, and what to do about it. Pure rules.

An alarm has a cause, of which at most one is open. What is wrong is either judged from the facts of
an addon's protection, or it was observed: see `Symptom`. `changes` compares symptoms with the open
alarms.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from holdfast.domain.protection import Code, Facts, Objective, judge
from holdfast.domain.units import DAY_MS, HOUR_MS, MINUTE_MS, show_bytes

STORM = 5
"""Alarms of one kind that a channel gets one by one within `STORM_MS`; more go together."""
STORM_MS = 10 * MINUTE_MS
GATHER_MS = 2 * MINUTE_MS
"""How long the alarms of a storm wait for others that follow."""
MAX_NAMED = 20
"""Alarms that a message names; of more it says how many."""
REWORD_MS = HOUR_MS
"""Reasons that only tell a higher age are written anew this often."""
FRESH_MS = 3 * MINUTE_MS
"""An observation that is older says nothing."""


class Severity(StrEnum):
    """The worst first."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


RANK = {severity: number for number, severity in enumerate(Severity)}


class Kind(StrEnum):
    UNPROTECTED = "addon.unprotected"
    NO_PLAN = "addon.no-plan"
    BACKUP_FAILED = "addon.backup-failed"
    OVERDUE = "addon.overdue"
    COPY_LOST = "addon.copy-lost"
    TOO_FEW_COPIES = "addon.too-few-copies"
    UNPROVEN = "addon.unproven"
    DRILL_FAILED = "addon.drill-failed"
    ARCHIVE_LATE = "addon.archive-late"
    TOO_STRICT = "addon.objective-too-strict"
    DRILLS_WAIT = "drills.waiting"
    RETENTION_HELD = "retention.held"
    STORE = "store.unusable"
    DISK = "disk.nearly-full"
    WORKERS = "workers.dead"
    SCHEDULERS = "schedulers.dead"
    CLOCK = "clock.jumped"
    MASTER_KEY = "master-key.missing"
    PROTECTION = "protection.differs"
    CHANNEL = "channel.failing"
    MONITOR = "monitor.down"


@dataclass(frozen=True, slots=True)
class Rule:
    """How bad a kind of alarm is, and the first thing to do about it."""

    severity: Severity
    title: str
    remedy: str


RULES: Mapping[Kind, Rule] = {
    Kind.DRILL_FAILED: Rule(
        Severity.CRITICAL,
        "has a backup that a drill could not restore",
        "`holdfast drill list` and `get` say what was found; take a backup now, drill it, and keep"
        " the older ones until one passes",
    ),
    Kind.UNPROTECTED: Rule(
        Severity.CRITICAL,
        "has no good backup that is young enough",
        "holdfast backup create --wait shows why one fails; holdfast status names the reasons",
    ),
    Kind.NO_PLAN: Rule(
        Severity.WARNING,
        "is not scheduled",
        "holdfast schedule create gives it a schedule, or pause the addon if that is meant",
    ),
    Kind.BACKUP_FAILED: Rule(
        Severity.WARNING,
        "could not be backed up",
        "put right what the reason names; holdfast backup log has the whole story",
    ),
    Kind.OVERDUE: Rule(
        Severity.CRITICAL,
        "is overdue: no scheduler fired its backup",
        "start a scheduler (holdfast serve or holdfast scheduler) and look at its log",
    ),
    Kind.COPY_LOST: Rule(
        Severity.CRITICAL,
        "has lost a copy of its newest good backup",
        "look for the objects in the store; a whole copy elsewhere repairs the lost one by itself",
    ),
    Kind.TOO_FEW_COPIES: Rule(
        Severity.WARNING,
        "has its newest good backup in too few stores",
        "look why the additional copies do not succeed, or lower the objective",
    ),
    Kind.UNPROVEN: Rule(
        Severity.WARNING,
        "has no recent proof that it can be restored",
        "holdfast drill run restores a backup into a throwaway server: that is the proof",
    ),
    Kind.ARCHIVE_LATE: Rule(
        Severity.CRITICAL,
        "has a log that is not archived",
        "holdfast pitr status says why; the server keeps its log for a while only, then the window"
        " has a gap",
    ),
    Kind.TOO_STRICT: Rule(
        Severity.WARNING,
        "has an objective that its schedules cannot meet",
        "holdfast schedule create adds backups, holdfast pitr enable archives what lies between;"
        " or ask for less with holdfast objective set",
    ),
    Kind.DRILLS_WAIT: Rule(
        Severity.WARNING,
        "has drills that no worker takes",
        "start a worker with HOLDFAST_DRILLS above 0, or abort the drills that wait",
    ),
    Kind.RETENTION_HELD: Rule(
        Severity.WARNING,
        "removes no expired backup: its retention is held",
        "`holdfast retention release` lets it go on; until then the stores fill up",
    ),
    Kind.STORE: Rule(
        Severity.CRITICAL,
        "cannot be used",
        "look whether it is mounted, reachable and writable, and whether its keys are valid",
    ),
    Kind.DISK: Rule(
        Severity.CRITICAL,
        "is nearly full",
        "make room: backups and restores fail when it is full",
    ),
    Kind.WORKERS: Rule(
        Severity.CRITICAL,
        "no worker lives, so no backup is taken",
        "start one (holdfast serve or holdfast worker) and look at the log of the last one",
    ),
    Kind.SCHEDULERS: Rule(
        Severity.CRITICAL,
        "no scheduler lives, so no schedule fires",
        "start one (holdfast serve or holdfast scheduler) and look at the log of the last one",
    ),
    Kind.CLOCK: Rule(
        Severity.WARNING,
        "its clock jumped",
        "set the clock and run an NTP service; nothing ages out until it has gone steadily",
    ),
    Kind.MASTER_KEY: Rule(
        Severity.CRITICAL,
        "its master key is not where it was",
        "put the key back before the process ends: no secret can be opened without it",
    ),
    Kind.PROTECTION: Rule(
        Severity.WARNING,
        "its facts of protection were wrong and have been put right",
        "it is a fault of Holdfast: please report it with the log's line, then close the alarm",
    ),
    Kind.CHANNEL: Rule(
        Severity.CRITICAL,
        "does not deliver",
        "holdfast channel test shows what the other side answers",
    ),
    Kind.MONITOR: Rule(
        Severity.CRITICAL,
        "is down",
        "look at what should ping: holdfast monitor get shows its last ping and what it said",
    ),
}


@dataclass(frozen=True, slots=True)
class Symptom:
    """Something that is wrong now. `subject` is its name for people, `source` what it is of; the
    kind and the source together are the cause. `since` in ms since 1970.

    A `young` one opens no alarm yet, but keeps an open one.
    """

    kind: Kind
    source: str
    subject: str
    reason: str
    since: int
    project_pk: int | None = None
    addon_pk: int | None = None
    young: bool = False

    @property
    def cause(self) -> str:
        return cause_of(self.kind, self.source)


def cause_of(kind: Kind, source: str) -> str:
    return f"{kind} {source}"


JUDGED = frozenset(kind for kind in Kind if kind.startswith("addon.")) | {
    Kind.CHANNEL,
    Kind.DRILLS_WAIT,
    Kind.MONITOR,
    Kind.RETENTION_HELD,
}
"""Kinds of which everything is known at once: what is not among the symptoms is over."""

_KINDS = {
    Code.TOO_OLD: Kind.UNPROTECTED,
    Code.NOT_SCHEDULED: Kind.NO_PLAN,
    Code.FAILING: Kind.BACKUP_FAILED,
    Code.OVERDUE: Kind.OVERDUE,
    Code.LOST: Kind.COPY_LOST,
    Code.TOO_FEW: Kind.TOO_FEW_COPIES,
    Code.UNPROVEN: Kind.UNPROVEN,
    Code.DRILL_FAILED: Kind.DRILL_FAILED,
    Code.ARCHIVE: Kind.ARCHIVE_LATE,
    Code.TOO_STRICT: Kind.TOO_STRICT,
}
_PATIENCE_MS = {
    Kind.NO_PLAN: HOUR_MS,  # who adds an addon gives it a schedule next
    Kind.TOO_FEW_COPIES: 15 * MINUTE_MS,  # a copy follows its backup
    Kind.TOO_STRICT: 15 * MINUTE_MS,  # who plans makes one schedule after the other
    Kind.DRILLS_WAIT: 5 * MINUTE_MS,  # a worker may just be restarted
}


def symptoms_of_addon(facts: Facts, objective: Objective, now: int) -> dict[Kind, tuple[str, int]]:
    """By kind the sentences, and since when they hold; empty when all is well or paused."""
    by_kind: dict[Kind, tuple[str, int]] = {}
    for reason in judge(facts, objective, now).reasons:
        kind = _KINDS.get(reason.code)
        if kind is None:
            continue
        sentence, since = by_kind.get(kind, ("", reason.since))
        joined = f"{sentence}; {reason.sentence}" if sentence else reason.sentence
        by_kind[kind] = joined, min(since, reason.since)
    return by_kind


def is_young(kind: Kind, since: int, now: int) -> bool:
    return now - since < _PATIENCE_MS.get(kind, 0)


@dataclass(frozen=True, slots=True)
class Open:
    """An open alarm, as far as the comparison needs it. Instants in ms since 1970."""

    pk: int
    cause: str
    kind: Kind
    reason: str
    updated: int
    snoozed_until: int | None = None


@dataclass(frozen=True)
class Changes:
    """What becomes of the alarms: symptoms that open one, keys of those that are over, of those
    whose reason changes, and of those that were snoozed until now."""

    opened: Sequence[Symptom]
    closed: Sequence[int]
    reworded: Mapping[int, str]
    awake: Sequence[int]

    def __bool__(self) -> bool:
        return bool(self.opened or self.closed or self.reworded or self.awake)


def changes(
    symptoms: Collection[Symptom], over: Collection[str], alarms: Iterable[Open], now: int
) -> Changes:
    """`over`: causes that were seen to be over. An observed one that is neither a symptom nor over
    stays as it is, because nothing is known of it."""
    by_cause = {symptom.cause: symptom for symptom in symptoms}
    closed: list[int] = []
    reworded: dict[int, str] = {}
    awake: list[int] = []
    for alarm in alarms:
        symptom = by_cause.pop(alarm.cause, None)
        if symptom is None:
            if alarm.kind in JUDGED or alarm.cause in over:
                closed.append(alarm.pk)
            continue
        if alarm.snoozed_until is not None and alarm.snoozed_until <= now:
            awake.append(alarm.pk)
        if symptom.reason != alarm.reason and now - alarm.updated >= REWORD_MS:
            reworded[alarm.pk] = symptom.reason
    opened = [symptom for symptom in by_cause.values() if not symptom.young]
    return Changes(opened, closed, reworded, awake)


@dataclass(frozen=True, slots=True)
class Filters:
    """Which alarms a channel gets. `projects` and `kinds` None: all of them; `severity`: this or
    worse. `channel_pk` is the channel itself, which hears nothing of its own failure."""

    channel_pk: int
    severity: Severity = Severity.INFO
    projects: frozenset[int] | None = None
    kinds: frozenset[str] | None = None

    def match(self, kind: Kind, source: str, project_pk: int | None) -> bool:
        if kind is Kind.CHANNEL and source == str(self.channel_pk):
            return False
        if RANK[RULES[kind].severity] > RANK[self.severity]:
            return False
        if self.projects is not None and project_pk not in self.projects:
            return False
        return self.kinds is None or kind in self.kinds


class Pace(StrEnum):
    """How alarms of one kind go to a channel."""

    SINGLY = "singly"
    TOGETHER = "together"
    LATER = "later"


def pace(count: int, recent: int) -> Pace:
    """Of `count` alarms now, after `recent` messages of their kind within `STORM_MS`."""
    if recent >= STORM:
        return Pace.LATER
    return Pace.TOGETHER if count > STORM else Pace.SINGLY


def listed_names(names: Sequence[str]) -> Iterator[str]:
    """The names that a message shows, and how many more there are."""
    yield from names[:MAX_NAMED]
    if len(names) > MAX_NAMED:
        yield f"and {len(names) - MAX_NAMED} more"


_MIN_FREE_SHARE = 0.05
_MIN_FREE_BYTES = 10 << 30
_ALWAYS_TOO_LITTLE_BYTES = 256 << 20


def disk_problem(total_bytes: int, free_bytes: int) -> str | None:
    """What is wrong with the room on a disk; None: there is enough. On a big disk 5 % is plenty."""
    small_share = free_bytes < _MIN_FREE_SHARE * total_bytes and free_bytes < _MIN_FREE_BYTES
    if not small_share and free_bytes >= _ALWAYS_TOO_LITTLE_BYTES:
        return None
    return f"{show_bytes(free_bytes)} of {show_bytes(total_bytes)} are free"


class Digest(StrEnum):
    DAILY = "daily"
    WEEKLY = "weekly"


_DIGEST_HOUR_MS = 7 * HOUR_MS
_FIRST_MONDAY_MS = 4 * DAY_MS  # 1970-01-05


def next_digest(digest: Digest, now: int) -> int:
    """The next 07:00 UTC, or the next of a Monday, after `now`. In ms since 1970."""
    first = _DIGEST_HOUR_MS + (_FIRST_MONDAY_MS if digest is Digest.WEEKLY else 0)
    period = 7 * DAY_MS if digest is Digest.WEEKLY else DAY_MS
    return now + period - (now - first) % period
