"""Who is dead, who must stop and which clock is believed: each judged by the watcher's own time."""

from dataclasses import dataclass

import pytest

from holdfast.contracts.queue import Dispatch
from holdfast.daemons.silence import Silence
from holdfast.daemons.vitals import Vitals
from holdfast.domain.errors import WorkerLost
from holdfast.kit.clock import SystemClock
from holdfast.kit.processes.guard import Guard
from holdfast.kit.steady_clock import Steadiness
from holdfast.usecases.running_jobs import Running

DEAD = 30.0
YEAR = 365 * 86_400.0


@dataclass
class Machine:
    """Its wall clock, its time awake, and its time since it was booted."""

    wall: float = 1_700_000_000.0
    awake: float = 100.0
    since_boot: float = 100.0

    def now(self) -> int:
        return round(self.wall * 1000)

    def monotonic(self) -> float:
        return self.awake

    def boottime(self) -> float:
        return self.since_boot

    def run(self, seconds: float) -> None:
        self.wall += seconds
        self.awake += seconds
        self.since_boot += seconds

    def sleep(self, seconds: float) -> None:
        self.wall += seconds
        self.since_boot += seconds


def watch(machine: Machine, vitals: Vitals[str], beats: dict[str, int], seconds: int) -> set[str]:
    """Each of those in `beats` but "dead" beats once a second."""
    dead: set[str] = set()
    for _ in range(seconds):
        machine.run(1)
        for worker in beats:
            beats[worker] += worker != "dead"
        dead = vitals.look(beats)
    return dead


def test_who_does_not_beat_for_so_long_is_dead() -> None:
    machine = Machine()
    vitals, beats = Vitals[str](machine, DEAD), {"dead": 7, "alive": 7}
    assert watch(machine, vitals, beats, 29) == set()
    assert watch(machine, vitals, beats, 5) == {"dead"}


@pytest.mark.parametrize("step", [-YEAR, -60.0, 60.0, YEAR])
def test_a_step_of_the_clock_kills_nobody_and_revives_nobody(step: float) -> None:
    machine = Machine()
    vitals, beats = Vitals[str](machine, DEAD), {"dead": 7, "alive": 7}
    watch(machine, vitals, beats, 20)
    machine.wall += step
    assert watch(machine, vitals, beats, 5) == set()
    assert watch(machine, vitals, beats, 15) == {"dead"}


@pytest.mark.parametrize("stopped", [True, False], ids=["stopped", "suspended"])
def test_a_watcher_that_slept_starts_anew(stopped: bool) -> None:
    """Those who slept with it have not beaten either."""
    machine = Machine()
    vitals, beats = Vitals[str](machine, DEAD), {"dead": 7, "alive": 7}
    watch(machine, vitals, beats, 20)
    machine.run(3600) if stopped else machine.sleep(3600)
    assert vitals.look(beats) == set()
    assert watch(machine, vitals, beats, 9) == set()
    assert watch(machine, vitals, beats, 30) == {"dead"}


def writing(machine: Machine) -> tuple[Running, Guard, Guard]:
    """A job that writes into a customer's database, and one that only reads."""
    running, writer, reader = Running(), Guard(machine), Guard(machine)
    running.enter(Dispatch("writer", 1), writer, writes=True)
    running.enter(Dispatch("reader", 1), reader, writes=False)
    return running, writer, reader


def is_stopped(guard: Guard) -> bool:
    try:
        guard.check()
    except WorkerLost:
        return True
    return False


def silent_for(machine: Machine, silence: Silence, seconds: int) -> None:
    for _ in range(seconds):
        machine.run(1)
        silence.round()


def test_a_writer_stops_well_before_others_take_over() -> None:
    machine = Machine()
    running, writer, reader = writing(machine)
    silence = Silence(machine, running, DEAD)
    silence.confirmed(machine.boottime())
    silent_for(machine, silence, 18)
    assert not is_stopped(writer)
    silent_for(machine, silence, 2)
    assert is_stopped(writer)
    assert not is_stopped(reader), "its bytes harm nobody"


def test_a_beat_counts_from_when_it_was_begun() -> None:
    machine = Machine()
    running, writer, _ = writing(machine)
    silence = Silence(machine, running, DEAD)
    begun = machine.boottime()
    silent_for(machine, silence, 15)
    silence.confirmed(begun)
    silent_for(machine, silence, 5)
    assert is_stopped(writer)


@pytest.mark.parametrize("arrives", [True, False])
def test_who_was_suspended_may_find_out_first_what_became_of_it(arrives: bool) -> None:
    machine = Machine()
    running, writer, _ = writing(machine)
    silence = Silence(machine, running, DEAD)
    machine.sleep(3600)
    silence.round()
    assert not is_stopped(writer)
    if arrives:
        silence.confirmed(machine.boottime())
    silent_for(machine, silence, 4)
    assert is_stopped(writer) is not arrives


def test_a_clock_is_believed_when_it_has_kept_pace() -> None:
    machine = Machine()
    steady = Steadiness(machine, 300)
    assert not steady.holds(), "nothing was seen of it yet"
    for _ in range(60):
        machine.run(5)
        believed = steady.holds()
    assert believed


@pytest.mark.parametrize("step", [-YEAR, -60.0, 60.0, YEAR])
def test_a_clock_that_was_set_has_to_prove_itself_again(step: float) -> None:
    machine = Machine()
    steady = Steadiness(machine, 300)
    steady.holds()
    machine.run(301)
    assert steady.holds()
    machine.wall += step
    for _ in range(59):
        assert not steady.holds()
        machine.run(5)
    machine.run(10)
    assert steady.holds()


def test_small_steps_add_up() -> None:
    machine = Machine()
    steady = Steadiness(machine, 300)
    steady.holds()
    for _ in range(300):
        machine.run(1)
        machine.wall += 1  # twice as fast as time
        assert not steady.holds()


def test_sleep_is_no_step() -> None:
    machine = Machine()
    steady = Steadiness(machine, 300)
    steady.holds()
    machine.run(301)
    machine.sleep(86_400)
    assert steady.holds()


def test_a_machine_has_both_times() -> None:
    clock = SystemClock()
    first = clock.boottime()
    assert clock.boottime() >= first > 0
    assert clock.boottime() - clock.monotonic() > -1
