"""Schedulers that are killed at random, over a clock that runs fast: nothing lost, nothing doubled.

Afterwards every instant of every schedule's life, found by walking a calendar minute by minute, is
covered by exactly one decision, and no two backups of one wish are of the same instant.
"""

import multiprocessing
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from chaos.ticking import FastClock, Ticking
from fixtures.timetables import CALLER, DAY, SetClock, Timetable, moment, wish
from holdfast.catalog.database.session import Catalog, WriteSession, lock_addon, take_turns
from holdfast.catalog.schema import Addon, Copy, Occurrence, Operation, Schedule
from holdfast.catalog.work import operations, schedules
from holdfast.catalog.work.operations import Ending
from holdfast.daemons.scheduler import Scheduler
from holdfast.domain.operation import Status
from holdfast.domain.schedules.schedule import Scheduling
from holdfast.kit.clock import SystemClock
from holdfast.usecases.context import Context
from holdfast.usecases.forms.forms import ScheduleForm
from holdfast.usecases.schedules import schedules as verbs

HOST = multiprocessing.get_context("forkserver")
HOST.set_forkserver_preload(["holdfast.bootstrap"])  # so that being born again is quick
START = moment("2028-02-28 21:50")  # a leap day begins soon
SPEED = 900
ADDONS = 50
RISK = 0.01
STILL_SECONDS = 120.0


@dataclass
class Life:
    """When which rule held for a schedule: from (exclusive) and until (inclusive)."""

    parts: list[tuple[Scheduling, int, int]] = field(default_factory=list)

    def begin(self, rule: Scheduling, after: int) -> None:
        self.parts.append((rule, after, 0))

    def end(self, until: int) -> None:
        rule, after, _ = self.parts.pop()
        self.parts.append((rule, after, until))

    def instants(self, end: int) -> list[int]:
        return [
            instant
            for rule, after, until in self.parts
            for instant in walked(rule, after, until or end)
        ]


def walked(rule: Scheduling, after: int, until: int) -> Iterator[int]:
    """The instants in (after, until] as a calendar has them."""
    found = datetime.fromtimestamp(after // 60_000 * 60, UTC)
    while (at := round(found.timestamp() * 1000)) <= until:
        fits = found.minute in rule.minute
        fits = fits and (not rule.hour or found.hour in rule.hour)
        fits = fits and (not rule.day or found.weekday() in rule.day)
        if fits and at > after:
            yield at
        found += timedelta(minutes=1)


def some_forms(dice: random.Random) -> list[ScheduleForm]:
    """A few schedules that are due often and together."""

    def minutes(count: int) -> list[int]:
        return sorted(dice.sample(range(0, 60, 3), count))

    kinds = [
        lambda: wish("hourly", minutes(dice.randint(1, 20)), retentionTime=1),
        lambda: wish("daily", minutes(8), [21, 22, 23, 0, 1, 2, 3], retentionTime=2),
        lambda: wish("weekly", minutes(5), [22, 23, 0, 1, 2, 3], [0, 1], retentionTime=9),
        lambda: wish("hourly", minutes(9), backupType="snapshot", retentionTime=1),
    ]
    chosen = dice.sample(kinds, dice.randint(0, len(kinds)))
    return [make() for make in chosen]


@dataclass
class Scene:
    timetable: Timetable
    url: str
    home: Path
    clock: FastClock
    addons: list[int]
    processes: int
    dice: random.Random = field(default_factory=lambda: random.Random(7))
    children: list[BaseProcess] = field(default_factory=list)
    lives: defaultdict[int, Life] = field(default_factory=lambda: defaultdict(Life))
    over: threading.Event = field(default_factory=threading.Event)
    deaths: int = 0
    changes: int = 0

    @property
    def catalog(self) -> Catalog:
        return self.timetable.catalog

    def keep_alive(self) -> None:
        """Starts whoever is missing."""
        self.deaths += sum(1 for child in self.children if not child.is_alive())
        self.children = [child for child in self.children if child.is_alive()]
        while len(self.children) < self.processes:
            home = self.home / f"host-{len(self.children)}"
            ticking = Ticking(home, self.url, self.clock, RISK, self.home / "schedulers.log")
            child = HOST.Process(target=ticking.run, daemon=True)
            child.start()
            self.children.append(child)

    def torture(self, seconds: float, least: int) -> None:
        """Kills somebody now and then; most die by themselves, while they dispatch.

        Goes on for `seconds` and until `least` occurrences have fired and enough have died, on a
        slow machine too: there being born takes longer, so that nobody is killed before something
        has happened since.
        """
        began = moved = time.monotonic()
        fired = self.fired()
        while time.monotonic() - began < seconds or fired < least or self.deaths < least / 50:
            assert time.monotonic() - moved < STILL_SECONDS, f"nothing happens after {fired}"
            self.keep_alive()
            self.over.wait(self.dice.uniform(0.05, 0.5))
            before, fired = fired, self.fired()
            if fired > before:
                moved = time.monotonic()
                if self.dice.random() < 0.4:
                    self.dice.choice(self.children).kill()
        self.over.set()

    def fired(self) -> int:
        with self.catalog.read() as session:
            fired = select(func.count()).where(Occurrence.outcome == "fired")
            return session.scalars(fired).one()

    def end(self) -> None:
        self.over.set()
        for child in self.children:
            child.kill()
            child.join()

    def finish_work(self) -> None:
        """A worker that takes its time: some backups still wait when the next one is due."""
        dice = random.Random(8)
        while not self.over.wait(0.02):
            with self.catalog.read() as session:
                dispatched = operations.dispatched(session)
            for what in dice.sample(dispatched, len(dispatched) * 3 // 4):
                now, ending = self.clock.now(), Ending(Status.COMPLETED)
                with self.catalog.write() as session:
                    operations.begin(session, what, "w", now)
                    operations.finish(session, self.timetable.parts.queue, what, ending, now)

    def change_schedules(self) -> None:
        dice = random.Random(9)
        while not self.over.wait(dice.uniform(0.01, 0.3)):
            self.change(dice.choice(self.addons), some_forms(dice))

    def change(self, addon_pk: int, forms: list[ScheduleForm]) -> None:
        now = self.clock.now()  # before the lock, as a request's
        with self.catalog.write() as session:
            take_turns(session)
            lock_addon(session, addon_pk)
            old = {row.pk: schedules.rule(row) for row in schedules.of_addon(session, addon_pk)}
            since = max(now, _decided(session, list(old)))
            context = Context(session, CALLER, now, self.timetable.parts.services)
            verbs.replace_all(context, session.get_one(Addon, addon_pk), forms)
            session.flush()
            new = {row.pk: schedules.rule(row) for row in schedules.of_addon(session, addon_pk)}
        for pk, rule in old.items():
            if new.get(pk) != rule:
                self.lives[pk].end(since)
        for pk, rule in new.items():
            if old.get(pk) != rule:
                self.lives[pk].begin(rule, since)
        self.changes += 1

    def settle(self) -> int:
        """What was due when everybody died is found by the next one that starts."""
        end = self.clock.now()
        self.timetable.clock.at = end
        tools = replace(self.timetable.parts.toolbox, clock=self.timetable.clock)
        Scheduler(tools, self.timetable.window).round()
        return end


def _decided(session: WriteSession, pks: list[int]) -> int:
    wanted = select(func.max(Occurrence.instant)).where(Occurrence.schedule_pk.in_(pks))
    return session.scalar(wanted) or 0


@pytest.fixture
def scene(
    timetable: Timetable, catalog_url: str, tmp_path: Path, new_addon: Callable[[], int]
) -> Iterator[Scene]:
    timetable.clock = SetClock(START)
    clock = FastClock(SystemClock().now(), START, SPEED)
    addons = [new_addon() for _ in range(ADDONS)]
    processes = 1 if timetable.catalog.is_sqlite else 3
    made = Scene(timetable, catalog_url, tmp_path, clock, addons, processes)
    yield made
    made.end()


def run(scene: Scene, seconds: float, least: int) -> int:
    dice = random.Random(10)
    for addon in scene.addons:
        scene.change(addon, some_forms(dice))
    with ThreadPoolExecutor(2) as pool:
        others = [pool.submit(scene.finish_work), pool.submit(scene.change_schedules)]
        try:
            scene.torture(seconds, least)
        finally:
            scene.over.set()
        for other in others:
            other.result()
    scene.end()
    return scene.settle()


def require_each_instant_once(scene: Scene, end: int) -> Counter[str]:
    rows = scene.timetable.rows(select(Occurrence))
    outcomes: Counter[str] = Counter()
    of_schedule: defaultdict[int, list[Occurrence]] = defaultdict(list)
    for row in rows:
        of_schedule[row.schedule_pk].append(row)
    assert set(of_schedule) <= set(scene.lives)
    for pk, life in scene.lives.items():
        expected = life.instants(end)
        found: Counter[int] = Counter()
        for row in of_schedule[pk]:
            covered = [each for each in expected if row.since <= each <= row.instant]
            assert (len(covered), covered[:1], covered[-1:]) == (
                row.count,
                [row.since],
                [row.instant],
            )
            found.update(covered)
            outcomes[row.outcome] += row.count
        assert found == Counter(expected), pk
    return outcomes


def require_each_backup_once(scene: Scene) -> None:
    names = {row.pk: row.id for row in scene.timetable.rows(select(Schedule))}
    first = {row.backup_pk: row for row in scene.timetable.rows(select(Copy))}
    causes: defaultdict[int | None, set[str]] = defaultdict(set)
    for row in scene.timetable.rows(select(Occurrence).where(Occurrence.outcome == "fired")):
        causes[row.backup_pk].add(names[row.schedule_pk])
    backups = scene.timetable.backups()
    for backup in backups:
        assert {each["id"] for each in backup.schedules or []} == causes.pop(backup.pk)
    assert causes == {}
    wishes = Counter(
        (row.addon_pk, row.type, row.compression, first[row.pk].destination_pk, row.name)
        for row in backups
    )
    assert [wish for wish, count in wishes.items() if count > 1] == []
    assert len(first) == len(backups)


def require_the_queue_to_agree(scene: Scene) -> None:
    made = {row.id: row for row in scene.timetable.rows(select(Operation))}
    assert set(made) == {row.operation for row in scene.timetable.backups()}
    with scene.catalog.read() as session:
        queued = {
            (row.op, row.fence) for row in session.execute(text("SELECT op, fence FROM queue"))
        }
        assert operations.waiting_addons(session) == []
    assert queued == {(op, n) for op, row in made.items() for n in range(1, row.fence + 1)}


def require_nothing_lost_or_doubled(scene: Scene, end: int, least: int) -> None:
    """`least`: how much must have happened for that to mean anything."""
    outcomes = require_each_instant_once(scene, end)
    require_each_backup_once(scene)
    require_the_queue_to_agree(scene)
    said = (scene.home / "schedulers.log").read_text()
    for complaint in ("IntegrityError", "deadlock", "Traceback"):
        assert complaint not in said, said[-3000:]
    assert outcomes["fired"] >= least, outcomes
    assert scene.deaths >= least / 50
    assert scene.changes >= least / 20


@pytest.mark.sqlite_first
def test_killed_schedulers_lose_and_double_nothing(scene: Scene) -> None:
    end = run(scene, 8, least=200)
    require_nothing_lost_or_doubled(scene, end, least=200)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_schedulers_lose_and_double_nothing_for_long(scene: Scene) -> None:
    end = run(scene, 120, least=1000)
    assert end - START > DAY
    require_nothing_lost_or_doubled(scene, end, least=1000)
