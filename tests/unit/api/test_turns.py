"""Reads take turns in the order in which they came, unless one holds up all others."""

import asyncio
import threading

import pytest

from holdfast.api import turns
from holdfast.api.turns import Turns


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
