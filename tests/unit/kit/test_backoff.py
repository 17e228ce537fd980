"""Waiting between attempts: longer each time, never for ever, only for what is temporary."""

from itertools import islice

import pytest

from holdfast.domain.errors import StoreRefused, StoreUnavailable
from holdfast.kit.backoff import Backoff, GrowingPauses, pauses, retried


def test_delays_double_up_to_the_longest() -> None:
    backoff = Backoff(attempts=6, first=1, longest=5, chance=lambda: 0.0)

    assert list(backoff.delays()) == [1, 2, 4, 5, 5]


def test_chance_shortens_by_up_to_half() -> None:
    backoff = Backoff(attempts=2, first=1, chance=lambda: 1.0)

    assert list(backoff.delays()) == [0.5]


def test_temporary_failures_are_repeated_until_one_works() -> None:
    slept: list[float] = []
    outcomes = [StoreUnavailable(), StoreUnavailable(), None]

    def work() -> str:
        outcome = outcomes.pop(0)
        if outcome:
            raise outcome
        return "done"

    assert retried(work, Backoff(sleep=slept.append)) == "done"
    assert len(slept) == 2


def test_the_last_failure_is_raised() -> None:
    calls: list[int] = []

    def work() -> None:
        calls.append(1)
        raise StoreUnavailable(f"attempt {len(calls)}")

    with pytest.raises(StoreUnavailable, match="attempt 3"):
        retried(work, Backoff(attempts=3, sleep=lambda _: None))


def test_permanent_failures_are_not_repeated() -> None:
    calls: list[int] = []

    def work() -> None:
        calls.append(1)
        raise StoreRefused

    with pytest.raises(StoreRefused):
        retried(work, Backoff())
    assert calls == [1]


def test_pauses_grow_up_to_the_longest_and_do_not_end() -> None:
    assert list(islice(pauses(0.03), 5)) == [0.005, 0.01, 0.02, 0.03, 0.03]
    assert list(islice(pauses(0.001), 2)) == [0.001, 0.001]


def test_growing_pauses_double_for_each_key_until_it_is_forgotten() -> None:
    now = 100.0
    growing = GrowingPauses[str](lambda: now, 1.0, 3.0)
    assert growing.is_due("a")
    due: list[float] = []
    for _ in range(4):
        growing.postpone("a")
        assert not growing.is_due("a")
        assert growing.is_due("b")
        began = now
        while not growing.is_due("a"):
            now += 0.5
        due.append(now - began)
    assert due == [1.0, 2.0, 3.0, 3.0]
    growing.postpone("a")
    growing.forget("a")
    assert growing.is_due("a")
