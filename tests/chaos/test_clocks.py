"""Clocks that step by minutes and by years, machines that sleep: everything converges."""

import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from fixtures.timetables import DAY, HOUR, MINUTE, SetClock
from fixtures.year import POLICY, STEP, Planned, World
from holdfast.bootstrap import PLANS
from holdfast.catalog.database.session import Catalog
from holdfast.catalog.schema import (
    Addon,
    Backup,
    Chore,
    Copy,
    Occurrence,
    Operation,
    Repository,
    Schedule,
    Upload,
)
from holdfast.catalog.storage import repositories
from holdfast.catalog.work import chores, operations
from holdfast.catalog.work.operations import Order
from holdfast.catalog.work.schedules import rule
from holdfast.contracts.queue import Dispatch
from holdfast.daemons.janitor import Janitor
from holdfast.daemons.pruner import Pruner
from holdfast.daemons.pulse import Pulse, Rhythm
from holdfast.daemons.reaper import Reaper
from holdfast.domain.errors import Failure
from holdfast.domain.operation import ANY_LANE, Kind, Status
from holdfast.domain.schedules.schedule import next_due
from holdfast.jobs.core.leftovers import remover
from holdfast.kit import ids
from holdfast.kit.processes.guard import Guard
from holdfast.kit.seal import Sealer
from holdfast.kit.steady_clock import Steadiness
from holdfast.queues.table import TableQueue
from holdfast.usecases.running_jobs import Running
from holdfast.usecases.toolbox import Toolbox

YEAR = 365 * DAY
SKEWS = [10 * MINUTE, -10 * MINUTE, 3 * HOUR, -3 * HOUR, 40 * DAY, -40 * DAY, 9 * YEAR, -9 * YEAR]
CALM = 4 * DAY


class ClockOf(SetClock):
    """What it shows may be set; time itself goes on."""

    def __init__(self, world: World) -> None:
        super().__init__(world.real)
        self._world = world

    def monotonic(self) -> float:
        return self._world.real / 1000

    boottime = monotonic


class SteppingWorld(World):
    """The database's clock is wrong now and then, for some hours at most."""

    def restart(self) -> None:
        if not isinstance(self.clock, ClockOf):
            self.clock = ClockOf(self)
            self.uploads = dict[str, tuple[int, int]]()
        super().restart()
        tools = self.scheduler._tools
        steady = Steadiness(self.clock, 6 * HOUR / 1000)
        self.pruner = Pruner(tools, POLICY, steady)
        self.janitor = Janitor(tools, remover(tools, PLANS), POLICY, steady)

    def _plan(self) -> list[Planned]:
        begin, planned = self.real + DAY, list[Planned]()
        for skew in self.dice.sample(SKEWS, len(SKEWS)):
            length = self.dice.randrange(1, 6 * HOUR // STEP) * STEP
            planned.append(Planned("clock", begin, begin + length, skew))
            begin += length + self.dice.randrange(2 * HOUR // STEP, 20 * HOUR // STEP) * STEP
        return planned

    def step(self, *, people: bool = True) -> None:
        super().step(people=False)
        if self.real % (2 * HOUR) == 0:
            self.leave_traces()

    def leave_traces(self) -> None:
        """What a process writes that dies a moment later, by the clock of that moment."""
        now = self.clock.at
        with self.catalog.write() as session:
            addon = session.scalars(select(Addon)).first()
            assert addon is not None
            upload = Upload(id=ids.hex24(), addon_pk=addon.pk, received=0, created=now, touched=now)
            session.add(upload)
            self.uploads[f"uploads/{upload.id}/"] = self.real, now - self.real
            if repositories.find(session, addon.pk, None) is None:
                row = Repository(addon_pk=addon.pk, prefix="r/", sealed_password="", created=now)
                session.add(row)
                session.flush()
            repositories.prune_later(session, addon.pk, None, now)
            chores.ask(session, "reading 7", now)
            chores.take(session, "reading 7", now, 0)
            session.execute(update(Copy).where(Copy.next_try.is_(None)).values(next_try=now + HOUR))

    def _check(self, place: int | None, prefix: str) -> None:
        """An upload that a clock which was behind dates back is all that may go early."""
        if not prefix.startswith("uploads/"):
            super()._check(place, prefix)
            return
        begun, skew = self.uploads[prefix]
        assert skew < 0 or self.real - begun >= DAY, "an upload was given up too early"
        self.counts["uploads"] += 1

    def _finish(self, session: Any, what: Any) -> None:
        operation = operations.get(session, what.op)
        if operation is None or operation.kind != Kind.PRUNE:
            super()._finish(session, what)
            return
        operations.begin(session, what, "w", self.clock.at)
        (row,) = session.scalars(select(Repository))
        row.tidy_due = None
        ending = operations.Ending(Status.COMPLETED)
        operations.finish(session, self.queue, what, ending, self.clock.at)
        self.counts["tidied"] += 1


@pytest.mark.parametrize("seed", [3, pytest.param(4, marks=pytest.mark.slow)])
def test_a_database_whose_clock_steps_forgets_and_forestalls_nothing(
    tmp_path: Path, seed: int
) -> None:
    world = SteppingWorld(tmp_path, addons=4, days=12, seed=seed)
    with world.catalog.write() as session:
        world._schedule(session, next(iter(world.by_addon)), "hourly", 1)
    world.end = max(planned.end for planned in world.planned)
    while world.real < world.end + CALM:
        world.real += STEP
        world.step()
    assert world.violations == [], "something went before its time, or the last good one did"
    calm = world.real - 2 * DAY
    with world.catalog.read() as session:
        assert_everything_is_on_time(session, world.real)
        assert_every_instant_came_once(session, calm, world.real)
        kept = session.scalars(select(Upload.id)).all()
        assert session.scalars(select(Backup.status)).all().count("scheduled") == 0
    assert [i for i in kept if world.uploads[f"uploads/{i}/"][0] < world.real - 2 * DAY] == []
    assert world.counts["tidied"] > CALM // DAY
    assert world.counts["removed"] > 0
    world.catalog.close()


def assert_everything_is_on_time(session: Any, now: int) -> None:
    for schedule in session.scalars(select(Schedule).where(Schedule.deleted.is_(None))):
        assert schedule.next_due == next_due(rule(schedule), now)
    for row in session.scalars(select(Repository)):
        assert row.tidy_due is None or row.tidy_due <= now + 2 * HOUR
    for copy in session.scalars(select(Copy).where(Copy.gone.is_(None))):
        assert copy.next_try is None or copy.next_try <= now + 2 * DAY
        # What was taken while the clock was ahead is kept by as much longer: never shorter.
        if copy.expires is not None and copy.review is not None:
            assert copy.review <= max(copy.expires, now + DAY)
    for chore in session.scalars(select(Chore)):
        due = chores.is_due(session, chore.name, now + 2 * DAY, DAY)
        assert due or chore.due == chores.NEVER


def assert_every_instant_came_once(session: Any, begin: int, end: int) -> None:
    """Since all is calm again, each schedule fired when it should and only then."""
    for schedule in session.scalars(select(Schedule).where(Schedule.deleted.is_(None))):
        wanted, at = list[int](), begin
        while (at := next_due(rule(schedule), at)) <= end:
            wanted.append(at)
        mine = select(Occurrence.instant).where(
            Occurrence.schedule_pk == schedule.pk, Occurrence.instant > begin
        )
        assert Counter(session.scalars(mine)) == Counter(wanted)


# Workers on two machines, each with its own clocks.


@dataclass
class Machine:
    """`shown`: what its wall clock is wrong by, in ms."""

    real: int = 0
    slept: int = 0
    shown: int = 0

    def now(self) -> int:
        return 1_700_000_000_000 + self.real + self.shown

    def monotonic(self) -> float:
        return (self.real - self.slept) / 1000

    def boottime(self) -> float:
        return self.real / 1000


@dataclass
class Process:
    """One worker: it holds at most one operation, and is gone for a while or for good."""

    name: str
    machine: Machine
    running: Running
    pulse: Pulse
    reaper: Reaper
    silent: int = 0
    dead: bool = False
    held: dict[str, tuple[Dispatch, Guard]] = field(default_factory=dict)


DEAD_SECONDS = 30


@dataclass
class Fleet:
    catalog: Catalog
    dice: random.Random
    queue: TableQueue
    machines: list[Machine]
    workers: list[Process]
    asleep: dict[int, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    completed: Counter[str] = field(default_factory=Counter)

    def second(self) -> None:
        for number, machine in enumerate(self.machines):
            machine.real += 1000
            if self.asleep.get(number, 0) > 0:
                self.asleep[number] -= 1
                machine.slept += 1000
        for worker in self.workers:
            if worker.dead or self.asleep.get(self.machines.index(worker.machine), 0) > 0:
                worker.silent += 1
                continue
            self._live(worker)

    def _live(self, worker: Process) -> None:
        worker.pulse.round()
        worker.reaper.round()
        self._look(worker)
        worker.silent = 0
        if not worker.held:
            for what in self.queue.claim(worker.name, ANY_LANE, 1):
                with self.catalog.write() as session:
                    if operations.begin(session, what, worker.name, worker.machine.now()) is None:
                        continue
                guard = Guard(worker.machine)
                worker.held[what.op] = what, guard
                worker.running.enter(what, guard, writes=True)
        elif self.dice.random() < 0.005:
            self._complete(worker)

    def _look(self, worker: Process) -> None:
        for op, (what, guard) in list(worker.held.items()):
            try:
                guard.check()
            except Failure as reason:
                if worker.silent <= DEAD_SECONDS // 2:
                    self.lost.append(f"{worker.name} lost {op}: {reason}")
                worker.running.leave(what)
                del worker.held[op]

    def _complete(self, worker: Process) -> None:
        for op, (what, _) in list(worker.held.items()):
            ending = operations.Ending(Status.COMPLETED)
            with self.catalog.write() as session:
                now = worker.machine.now()
                if operations.finish(session, self.queue, what, ending, now) is not None:
                    self.completed[op] += 1
            self.queue.forget(what)
            worker.running.leave(what)
            del worker.held[op]

    def trouble(self) -> None:
        """One of: a step of a wall clock, a nap of a machine, a death."""
        kind = self.dice.choice(["step", "step", "nap", "long nap", "death"])
        number = self.dice.randrange(len(self.machines))
        if kind == "step":
            self.machines[number].shown += self.dice.choice(SKEWS)
        elif kind == "nap":
            self.asleep[number] = self.dice.randrange(1, DEAD_SECONDS // 2 - 2)
        elif kind == "long nap":
            self.asleep[number] = self.dice.randrange(2 * DEAD_SECONDS, 8 * DEAD_SECONDS)
        elif sum(not worker.dead for worker in self.workers) > 2:
            self.dice.choice([w for w in self.workers if not w.dead]).dead = True


@pytest.fixture
def fleet(tmp_path: Path, request: pytest.FixtureRequest) -> Fleet:
    world = World(tmp_path, addons=12, days=3, seed=1)  # only its addons
    queue = TableQueue(world.catalog.engine)
    machines = [Machine(), Machine(shown=9 * YEAR)]
    workers: list[Process] = []
    nothing: Any = None
    for number in range(4):
        machine, running, rhythm = machines[number % 2], Running(), Rhythm(dead=DEAD_SECONDS)
        tools = Toolbox(
            world.catalog,
            queue,
            machine,
            Sealer(bytes(32)),
            "node",
            tmp_path,
            nothing,
            nothing,
            nothing,
        )
        pulse = Pulse(tools, running, f"w{number}", rhythm)
        workers.append(Process(f"w{number}", machine, running, pulse, Reaper(tools, pulse, rhythm)))
    with world.catalog.write() as session:
        for pk in world.by_addon:
            order = Order(pk, Kind.RESTART, ANY_LANE, {})
            operations.create(session, queue, order, 1)
    return Fleet(world.catalog, random.Random(request.param), queue, machines, workers)


@pytest.mark.parametrize("fleet", [5, 6], indirect=True)
def test_workers_on_machines_that_step_and_sleep_lose_nothing(fleet: Fleet) -> None:
    """Whoever is silent for less than the time after which he is dead keeps his work; everything
    is done once, whoever dies."""
    for second in range(3000):
        fleet.second()
        if second % 71 == 0 and second < 1000:
            fleet.trouble()
        if second > 1000 and len(fleet.completed) == 12:
            break
    assert fleet.lost == []
    assert set(fleet.completed.values()) == {1}
    with fleet.catalog.read() as session:
        statuses = Counter(session.scalars(select(Operation.status)))
    assert statuses == {Status.COMPLETED: 12}
