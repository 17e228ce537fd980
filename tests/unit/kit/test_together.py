"""Work side by side: the first failure ends the rest, a stop ends all of it."""

import threading

import pytest

from holdfast.domain.errors import ChildFailed, Interrupted
from holdfast.kit.clock import SystemClock
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.together import together


@pytest.fixture
def guard() -> Guard:
    return Guard(SystemClock())


def until_stopped(part: Guard) -> None:
    part.wait(30)
    pytest.fail("nobody stopped it")


def test_all_is_done_when_it_returns(guard: Guard) -> None:
    both, done = threading.Barrier(2, timeout=30), []

    def work(_: Guard) -> None:
        both.wait()
        done.append(1)

    together([work, work], guard)
    assert done == [1, 1]


def test_the_first_failure_ends_the_others_and_is_raised(guard: Guard) -> None:
    def fail(_: Guard) -> None:
        raise ChildFailed("it broke")

    with pytest.raises(ChildFailed, match="it broke"):
        together([until_stopped, fail, until_stopped], guard)
    guard.check()  # the whole may go on


def test_a_mistake_of_ours_ends_the_others_too(guard: Guard) -> None:
    def err(_: Guard) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        together([err, until_stopped], guard)


def test_a_stop_of_the_whole_is_everybodys(guard: Guard) -> None:
    def stop(_: Guard) -> None:
        guard.stop(Interrupted("aborted"))

    with pytest.raises(Interrupted, match="aborted"):
        together([until_stopped, stop], guard)


def test_a_stall_counts_until_the_last_one_is_through() -> None:
    class Still:
        now = 0.0

        def monotonic(self) -> float:
            return self.now

    clock = Still()
    guard = Guard(clock)  # type: ignore[arg-type]
    guard.watch_for_stall(on=True)
    guard.watch_for_stall(on=True)
    guard.watch_for_stall(on=False)
    clock.now = 5.0
    assert guard.idle_seconds() == 5.0
    guard.watch_for_stall(on=False)
    assert guard.idle_seconds() == 0.0
