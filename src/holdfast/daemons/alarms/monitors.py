"""Waits for the pings of monitors, and notes which are late.

By the monotonic clock of a process that takes pings: while none did, those that did not come are no
news, and clocks that were set are none either.
"""

from dataclasses import dataclass

from holdfast.catalog.alarms import monitors
from holdfast.catalog.alarms.monitors import Watched
from holdfast.domain.alarms.monitors import DOWN, Condition, Waiting, lateness
from holdfast.domain.units import MINUTE_MS
from holdfast.usecases.toolbox import Toolbox

_NOTES_A_PERIOD = 16
"""How often in a period it is noted how long a monitor was waited for, once a minute at most: what
a restart forgets of it."""


@dataclass(slots=True)
class _Wait:
    """One monitor, since this process saw its counters change, in monotonic seconds. `before`: ms
    that were watched already. `begun` None: what goes on began before this process looked."""

    ends: int
    starts: int
    since: float
    before: int
    begun: float | None = None


class MonitorWatch:
    """`patience`: seconds between two looks after which pings may have been missed."""

    def __init__(self, tools: Toolbox, patience: float) -> None:
        self._tools = tools
        self._patience = patience
        self._looked: float | None = None
        self._waits: dict[int, _Wait] = {}

    def round(self) -> None:
        moment = self._tools.clock.monotonic()
        with self._tools.catalog.read() as session:
            rows = monitors.watched(session)
        looked, self._looked = self._looked, moment
        unbroken = looked is not None and moment - looked <= self._patience
        if not unbroken:
            self._waits = {}  # pings may have been missed
        waits = {row.pk: self._wait_for(row, moment, unbroken=unbroken) for row in rows}
        self._waits = waits
        late: list[tuple[Watched, str]] = []
        noted: list[tuple[Watched, int]] = []
        for row in rows:
            wait = waits[row.pk]
            own = round(1000 * (moment - wait.since))
            begun = wait.begun if row.running else None
            running = None if begun is None else round(1000 * (moment - begun))
            waiting = Waiting(own, wait.before + own, running)
            if row.condition not in DOWN:
                new = row.condition == Condition.NEW
                problem = lateness(row.every, row.grace, waiting, new=new)
                late += [] if problem is None else [(row, problem)]
            if waiting.all - row.watched >= max(MINUTE_MS, row.every // _NOTES_A_PERIOD):
                noted.append((row, waiting.all))
        if late or noted:
            now = self._tools.clock.now()
            with self._tools.catalog.write() as session:
                for row, watched_ms in noted:
                    monitors.note_watched(session, row, watched_ms)
                for row, problem in late:
                    monitors.note_late(session, row, problem, now)

    def _wait_for(self, row: Watched, moment: float, *, unbroken: bool) -> _Wait:
        wait = self._waits.get(row.pk)
        if wait is None:  # of one that was added since the last look, all is known
            begun = moment if unbroken else None
            return _Wait(row.ends, row.starts, moment, row.watched, begun)
        if wait.ends != row.ends:
            wait.ends, wait.since, wait.before = row.ends, moment, 0
        if wait.starts != row.starts:
            wait.starts, wait.begun = row.starts, moment
        return wait
