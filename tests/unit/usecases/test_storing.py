"""What is cut is stored in order, and a store that hangs is given up in time."""

import threading
from collections.abc import Iterator

import pytest

from fixtures.timetables import SetClock
from holdfast.domain.errors import StoreRefused, StoreUnavailable
from holdfast.usecases.archiving.storing import Storer

MIB = 1 << 20


@pytest.fixture
def clock() -> SetClock:
    return SetClock(0)


@pytest.fixture
def storer(clock: SetClock) -> Iterator[Storer]:
    storer = Storer(clock, "test")
    yield storer
    storer.close()


def test_stores_in_order_and_says_how_far(storer: Storer) -> None:
    order: list[int] = []

    def store(position: int) -> int:
        order.append(position)
        return position

    for position in range(1, 50):
        storer.put(MIB, lambda position=position: store(position))
    assert storer.is_idle_within(60)
    assert (order, storer.stored) == ([*range(1, 50)], 49)


def test_what_fails_is_raised_where_the_server_is_read(storer: Storer) -> None:
    def refuse() -> int:
        raise StoreRefused("no")

    storer.put(1, refuse)
    storer.put(1, lambda: 2)
    assert storer.is_idle_within(60)
    with pytest.raises(StoreRefused):
        storer.check()
    assert storer.stored == 0


@pytest.mark.parametrize(("size", "seconds"), [(65 * MIB, 20), (1, 300)])
def test_a_store_that_hangs_is_given_up(
    storer: Storer, clock: SetClock, size: int, seconds: int
) -> None:
    """Soon when the spool is full: then the server could not shut down."""
    goes_on = threading.Event()

    def hang() -> int:
        goes_on.wait(60)
        return 1

    storer.put(size, hang)
    storer.check()
    clock.at += (seconds - 1) * 1000
    storer.check()
    clock.at += 2000
    with pytest.raises(StoreUnavailable):
        storer.check()
    goes_on.set()
    assert storer.is_idle_within(60)
    storer.check()
