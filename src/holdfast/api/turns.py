"""Short reads of the catalogue, a few at a time.

Threads that read a page each would mostly fight for the interpreter: with 32 at once a page costs
up to three times the processor time that it costs alone, and some callers wait long for nothing.
So reads wait for their turn, in the order in which they came. Who has waited for long goes ahead
all the same: then something before it reads very much, and the database does that by itself.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

_PATIENCE_SECONDS = 0.25

T = TypeVar("T")


class Turns:
    """Belongs to the event loop's thread."""

    def __init__(self, at_once: int) -> None:
        self._free = asyncio.Semaphore(at_once)

    async def run(self, work: Callable[[], T]) -> T:
        ours = await self._turn()
        try:
            return await run_in_threadpool(work)
        finally:
            if ours:
                self._free.release()

    async def _turn(self) -> bool:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS if self._free.locked() else None):
                await self._free.acquire()
        except TimeoutError:
            return False
        return True
