"""Reads take turns in the order in which they came, unless one holds up all others."""

import asyncio
import threading
from contextvars import ContextVar

import pytest

from holdfast.http.limits import turns
from holdfast.http.limits.turns import Turns


def test_one_at_a_time_in_their_order() -> None:
    began: list[int] = []
    at_once: list[int] = []
    reading = 0

    def read(number: int) -> int:
        nonlocal reading
        reading += 1
        began.append(number)
        at_once.append(reading)
        reading -= 1
        return number

    async def all_of_them() -> list[int]:
        lane = Turns(1)
        return await asyncio.gather(*(lane.run(lambda n=n: read(n)) for n in range(20)))

    assert asyncio.run(all_of_them()) == began == list(range(20))
    assert set(at_once) == {1}


def test_who_waited_for_long_goes_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_PATIENCE_SECONDS", 0.01)
    over = threading.Event()

    async def behind_a_long_one() -> str:
        lane = Turns(1)
        long = asyncio.create_task(lane.run(over.wait))
        await asyncio.sleep(0)
        found = await lane.run(lambda: "read")
        assert not long.done()
        over.set()
        await long
        return found + await lane.run(lambda: " again")

    assert asyncio.run(behind_a_long_one()) == "read again"


def test_a_read_that_fails_leaves_its_turn() -> None:
    async def failing() -> int:
        lane = Turns(1)
        with pytest.raises(ZeroDivisionError):
            await lane.run(lambda: 1 // 0)
        return await lane.run(lambda: 7)

    assert asyncio.run(failing()) == 7


def test_who_went_away_before_his_turn_is_left_out() -> None:
    over = threading.Event()
    read: list[str] = []

    async def going_away() -> None:
        lane = Turns(1)
        long = asyncio.create_task(lane.run(over.wait))
        gone = asyncio.create_task(lane.run(lambda: read.append("gone")))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        over.set()
        await long
        await lane.run(lambda: read.append("here"))

    asyncio.run(going_away())
    assert read == ["here"]


def test_a_read_sees_the_context_of_its_caller() -> None:
    who: ContextVar[str] = ContextVar("who")

    async def asking(name: str, lane: Turns) -> str:
        who.set(name)
        return await lane.run(who.get)

    async def both() -> list[str]:
        lane = Turns(1)
        return await asyncio.gather(asking("one", lane), asking("other", lane))

    assert asyncio.run(both()) == ["one", "other"]
