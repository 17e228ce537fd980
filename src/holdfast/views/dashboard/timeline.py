"""An addon's history as charts show it: what was taken in each stretch of time, and what is stored.

History comes from what happened, not from copies that are still there: a backup that expired was
not missed. Instants in ms since 1970.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from holdfast.catalog import addon_history, destinations
from holdfast.catalog.addon_history import Proven
from holdfast.catalog.database.session import ReadSession
from holdfast.domain.backup import BackupType
from holdfast.domain.operation import OVER, Status
from holdfast.domain.units import DAY_MS, HOUR_MS

PLATFORM = "platform"
"""The name of the installation's own store, beside the ids of destinations."""
_BAD = (Status.FAILED, Status.NOT_SUPPORTED, Status.ABORTED)


@dataclass
class Slot:
    """One stretch of time of one lane."""

    start: int
    end: int
    good: int = 0
    failed: int = 0
    missed: int = 0
    open: int = 0

    @property
    def total(self) -> int:
        return self.good + self.failed + self.missed + self.open


@dataclass(frozen=True)
class Timeline:
    """`lanes` by type of backup; only slots in which something was due or taken."""

    start: int
    end: int
    lanes: Mapping[str, Sequence[Slot]]
    drills: Sequence[Proven]
    restores: Sequence[Proven]

    @property
    def good(self) -> int:
        return sum(slot.good for lane in self.lanes.values() for slot in lane)

    @property
    def total(self) -> int:
        return sum(slot.total - slot.open for lane in self.lanes.values() for slot in lane)


RANGES = {"24h": (DAY_MS, HOUR_MS), "7d": (7 * DAY_MS, 6 * HOUR_MS), "30d": (30 * DAY_MS, DAY_MS)}
RANGES["1y"] = (365 * DAY_MS, 7 * DAY_MS)
"""Length of the whole and of a slot, by the name in the address."""


def timeline(session: ReadSession, addon_pk: int, now: int, choice: str) -> Timeline:
    length, width = RANGES[choice]
    end = now - now % width + width
    start = end - length
    lanes: dict[str, dict[int, Slot]] = {BackupType.SNAPSHOT: {}, BackupType.DUMP: {}}

    def slot(kind: str, at: int) -> Slot:
        first = at - at % width
        return lanes[kind].setdefault(first, Slot(first, first + width))

    for backup in addon_history.taken(session, addon_pk, start):
        current = slot(backup.type, backup.at)
        if backup.status == Status.COMPLETED:
            current.good += 1
        elif backup.status in _BAD:
            current.failed += 1
        else:
            current.open += 1
    for gap in addon_history.missed(session, addon_pk, start):
        slot(gap.type, gap.at).missed += gap.instants
    return Timeline(
        start=start,
        end=max(now, start + 1),
        lanes={kind: [of_kind[at] for at in sorted(of_kind)] for kind, of_kind in lanes.items()},
        drills=addon_history.drills(session, addon_pk, start),
        restores=[
            restore
            for restore in addon_history.restores(session, addon_pk, start)
            if restore.status in OVER
        ],
    )


@dataclass(frozen=True)
class Growth:
    """Bytes in each place at the end of each day; the places that hold most come first."""

    days: Sequence[int]
    places: Mapping[str, Sequence[int]] = field(default_factory=dict[str, Sequence[int]])

    @property
    def now(self) -> int:
        return sum(values[-1] for values in self.places.values()) if self.days else 0

    @property
    def a_day(self) -> float:
        """How many bytes are added a day, over the whole time."""
        if len(self.days) < 2:
            return 0.0
        before = sum(values[0] for values in self.places.values())
        return (self.now - before) / (len(self.days) - 1)


def growth(session: ReadSession, addon_pk: int, now: int, days: int = 60) -> Growth:
    """What lay where at the end of each of the last days, the last one now."""
    today = now - now % DAY_MS
    ends = [today - (days - 1 - number) * DAY_MS + DAY_MS for number in range(days)]
    ends[-1] = now
    changes: dict[int | None, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for copy in addon_history.stored(session, addon_pk, ends[0] - DAY_MS):
        changes[copy.destination_pk][_day_of(ends, copy.since)] += copy.size
        if copy.until is not None:
            changes[copy.destination_pk][_day_of(ends, copy.until)] -= copy.size
    names = destinations.ids_of(session, {pk for pk in changes if pk is not None})
    curves: dict[str, list[int]] = {}
    for destination_pk, by_day in changes.items():
        total, curve = 0, list[int]()
        for number in range(days):
            total += by_day.get(number, 0)
            curve.append(total)
        name = PLATFORM if destination_pk is None else names[destination_pk]
        curves[name] = curve
    ranked = sorted(curves, key=lambda name: -curves[name][-1])
    return Growth(ends, {name: curves[name] for name in ranked})


def _day_of(ends: Sequence[int], at: int) -> int:
    """The number of the day that an instant belongs to; those before the first are in it."""
    if at <= ends[0]:
        return 0
    return min((at - ends[0] - 1) // DAY_MS + 1, len(ends) - 1)
