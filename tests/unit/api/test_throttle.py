"""Windows of tokens and addresses, with a clock that stands still."""

import pytest

from holdfast.http.limits.bounds import Bounds
from holdfast.http.limits.throttle import Throttle, TooMany
from holdfast.kit.clock import SystemClock

HERE = "192.0.2.1"


class Still(SystemClock):
    def __init__(self) -> None:
        self.at = 100.0

    def monotonic(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Still:
    return Still()


@pytest.fixture
def throttle(clock: Still) -> Throttle:
    return Throttle(Bounds(rate_limit=3, address_limit=5, guess_limit=2), clock)


def test_a_token_counts_from_the_request_that_showed_it_valid(throttle: Throttle) -> None:
    told, known = throttle.ask("t", HERE)
    assert (told.limit, known) == (5, False)
    assert throttle.welcome("t").remaining == 2
    assert [throttle.ask("t", HERE)[0].remaining for _ in range(2)] == [1, 0]
    with pytest.raises(TooMany) as refused:
        throttle.ask("t", HERE)
    assert not refused.value.by_address
    assert refused.value.limit.reset == 3600
    assert throttle.ask(None, HERE)[1] is False, "the address has a window of its own"


def test_a_window_ends(throttle: Throttle, clock: Still) -> None:
    for _ in range(5):
        throttle.ask(None, HERE)
    with pytest.raises(TooMany) as refused:
        throttle.ask(None, HERE)
    assert (refused.value.by_address, refused.value.limit.reset) == (True, 60)
    clock.at += 60
    assert throttle.ask(None, HERE)[0].remaining == 4


def test_guessing_locks_out_unknown_tokens_of_the_address_alone(throttle: Throttle) -> None:
    throttle.ask("good", HERE)
    throttle.welcome("good")
    for guess in ("a", "b"):
        throttle.ask(guess, HERE)
        throttle.wrong(guess, HERE)
    with pytest.raises(TooMany, match="wrong tokens"):
        throttle.ask("c", HERE)
    with pytest.raises(TooMany, match="wrong tokens"):
        throttle.check_guesses(HERE)
    assert throttle.ask("good", HERE)[1], "who works from there goes on"
    throttle.ask("c", "192.0.2.2")


def test_a_token_that_is_no_longer_valid_is_a_guess_from_then_on(throttle: Throttle) -> None:
    throttle.ask("t", HERE)
    throttle.welcome("t")
    throttle.wrong("t", HERE)
    assert throttle.ask("t", HERE)[1] is False


def test_an_ipv6_customer_is_one_address(throttle: Throttle) -> None:
    for host in range(1, 6):
        throttle.ask(None, f"2001:db8::{host}")
    with pytest.raises(TooMany):
        throttle.ask(None, "2001:db8::ffff:1")
    throttle.ask(None, "2001:db8:0:1::1")
    for _ in range(5):
        throttle.ask(None, "::ffff:198.51.100.1")
    with pytest.raises(TooMany):
        throttle.ask(None, "198.51.100.1")


def test_memory_is_bounded_and_valid_tokens_are_not_pushed_out_by_others(
    throttle: Throttle,
) -> None:
    throttle.ask("t", HERE)
    throttle.welcome("t")
    for number in range(25_000):
        address = f"10.{number >> 16}.{(number >> 8) & 255}.{number & 255}"
        throttle.ask("x" + address, address)
        throttle.wrong("x" + address, address)
    assert len(throttle._addresses._of) <= 10_001
    assert len(throttle._tokens._of) == 1
    assert throttle.ask("t", HERE)[1]
