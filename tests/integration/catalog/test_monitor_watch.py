"""Which monitors are late, judged by the time in which pings could come."""

from dataclasses import dataclass, field, replace

import pytest
from sqlalchemy import select

from fixtures.in_process_installation import InProcessInstallation as Installation
from holdfast.catalog.alarms import monitors
from holdfast.catalog.database.session import Catalog
from holdfast.catalog.schema import AlarmRow, MonitorRow
from holdfast.daemons.alarms.monitors import MonitorWatch
from holdfast.domain.alarms.monitors import Ping, Signal
from holdfast.kit.seal import Secret
from holdfast.usecases.alarms.evaluation import evaluate
from holdfast.usecases.alarms.monitors import note_ping

pytestmark = pytest.mark.sqlite_first
KEY = Secret("hfp_of_a_test")
MINUTE, HOUR, YEAR = 60.0, 3_600.0, 365 * 86_400.0
PATIENCE = 30.0


@dataclass
class Machine:
    """Its wall clock, and its time awake; in seconds."""

    wall: float = 1_700_000_000.0
    awake: float = 100.0

    def now(self) -> int:
        return round(self.wall * 1000)

    def monotonic(self) -> float:
        return self.awake

    def boottime(self) -> float:
        return self.awake


@dataclass
class Watching:
    """One monitor, its watcher, and the time."""

    installation: Installation
    machine: Machine = field(default_factory=Machine)
    watch: MonitorWatch = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        tools = replace(self.installation.toolbox, clock=self.machine)
        self.watch = MonitorWatch(tools, PATIENCE)
        self.watch.round()

    def pass_seconds(self, seconds: float) -> None:
        """Without a look."""
        self.machine.wall += seconds
        self.machine.awake += seconds

    def run(self, seconds: float, step: float = 10.0) -> str:
        """Looks each `step` seconds; what has become of the monitor."""
        for _ in range(round(seconds / step)):
            self.pass_seconds(step)
            self.watch.round()
        return self.row.condition

    def ping(self, signal: Signal = Signal.SUCCESS, text: str = "") -> None:
        with self.installation.catalog.write() as session:
            assert note_ping(session, KEY, Ping(signal, text), self.machine.now())

    @property
    def row(self) -> MonitorRow:
        with self.installation.catalog.read() as session:
            row = session.scalars(select(MonitorRow)).one()
            session.expunge(row)
            return row


@pytest.fixture
def watching(catalog: Catalog) -> Watching:
    """Of one that is due each hour, with ten minutes of grace."""
    with catalog.write() as session:
        session.add(
            MonitorRow(
                id="hourly", name="Hourly", digest=monitors.digest(KEY), every_ms=3_600_000,
                grace_ms=600_000, condition="new", ends=0, starts=0, watched_ms=0, created=1,
                updated=1,
            )
        )  # fmt: skip
    return Watching(Installation(catalog))


def test_it_is_late_after_its_period_and_grace(watching: Watching) -> None:
    watching.ping()
    watching.run(10)
    assert watching.run(70 * MINUTE - 10) == "up"
    assert watching.run(20) == "late"
    assert watching.row.problem == "no ping for 70 min; one is due every 60 min"
    watching.ping(Signal.START)
    assert watching.run(MINUTE) == "late", "only a success ends it"
    watching.ping()
    assert watching.run(60 * MINUTE) == "up"


@pytest.mark.parametrize("step", [-YEAR, -2 * HOUR, 2 * HOUR, YEAR])
def test_a_step_of_the_clock_is_nothing(watching: Watching, step: float) -> None:
    watching.ping()
    watching.run(HOUR)
    watching.machine.wall += step
    assert watching.run(5 * MINUTE) == "up"
    assert watching.run(10 * MINUTE) == "late"


def test_what_came_while_none_could_take_it_is_waited_for_anew(watching: Watching) -> None:
    watching.ping()
    watching.run(50 * MINUTE)
    watching.pass_seconds(30 * MINUTE)  # the catalogue was away, say
    assert watching.run(65 * MINUTE) == "up"
    watching.restart()
    assert watching.run(10 * MINUTE) == "up"
    assert watching.run(10 * MINUTE) == "late", "two periods in all are more than one may miss"
    assert watching.row.problem is not None
    assert watching.row.problem.startswith("no ping for 2 h")


def test_one_that_starts_anew_each_hour_notices_it_in_the_end(watching: Watching) -> None:
    watching.ping()
    hours = 0
    while watching.run(30 * MINUTE, 20.0) == "up":
        hours += 0.5
        assert hours < 3, "a restart makes it forget everything"
        watching.restart()
    assert hours >= 2


def test_what_began_has_to_end_within_the_grace(watching: Watching) -> None:
    watching.ping()
    watching.ping(Signal.START)
    assert watching.run(9 * MINUTE) == "up"
    watching.ping(Signal.START)
    assert watching.run(9 * MINUTE) == "up", "it began again"
    watching.ping()
    assert watching.run(30 * MINUTE) == "up"
    watching.ping(Signal.START)
    assert watching.run(11 * MINUTE) == "late"
    assert watching.row.problem == "it began 10 min ago and has not ended"


def test_the_end_of_what_began_before_a_restart_may_have_got_lost(watching: Watching) -> None:
    watching.ping(Signal.START)
    watching.restart()
    assert watching.run(30 * MINUTE) == "new"


def test_of_two_watchers_one_notes_it_and_a_ping_between_wins(watching: Watching) -> None:
    first = watching.watch
    watching.restart()
    seen: list[MonitorWatch] = [first, watching.watch]
    for _ in range(430):
        watching.pass_seconds(10)
        for watch in seen:
            watch.round()
    assert watching.row.condition == "late"
    since = watching.row.since
    watching.run(MINUTE)
    assert watching.row.since == since
    with watching.installation.catalog.read() as session:
        (stale,) = monitors.watched(session)
    watching.ping()
    with watching.installation.catalog.write() as session:
        monitors.note_late(session, replace(stale), "too late", 1)
        monitors.note_watched(session, stale, 10**9)
    assert (watching.row.condition, watching.row.watched_ms) == ("up", 0)


def test_its_alarm_closes_with_it(watching: Watching) -> None:
    catalog = watching.installation.catalog

    def alarm() -> AlarmRow:
        evaluate(catalog, {}, watching.machine.now())
        with catalog.read() as session:
            row = session.scalars(select(AlarmRow).order_by(AlarmRow.pk.desc()).limit(1)).one()
            session.expunge(row)
            return row

    watching.ping(Signal.FAIL, "no disk")
    assert (alarm().kind, alarm().reason) == ("monitor.down", "it reported a failure: no disk")
    watching.ping(Signal.FAIL, "still none")
    assert alarm().closed is None
    watching.ping()
    assert alarm().closed is not None
    watching.ping(Signal.FAIL)
    assert alarm().closed is None
    with catalog.write() as session:
        session.delete(session.scalars(select(MonitorRow)).one())
    assert alarm().closed is not None
