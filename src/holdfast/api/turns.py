"""Short reads of the catalogue, a few at a time.

Threads that read a page each would mostly fight for the interpreter: with 32 at once a page costs
up to three times the processor time that it costs alone, and some callers wait long for nothing.
So reads wait for their turn with one of a few threads, in the order in which they came. Who has
waited for long goes ahead all the same: then something before it reads very much, and the database
does that by itself.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

_PATIENCE_SECONDS = 0.25

T = TypeVar("T")


class Turns:
    """Its threads are for nothing else: handing work to the framework's costs twice as much."""

    def __init__(self, at_once: int) -> None:
        self._readers = ThreadPoolExecutor(at_once, thread_name_prefix="reader")

    async def run(self, work: Callable[[], T]) -> T:
        turn = self._readers.submit(copy_context().run, work)
        answer = asyncio.wrap_future(turn)
        try:
            done, _ = await asyncio.wait((answer,), timeout=_PATIENCE_SECONDS)
            began = done or not turn.cancel()
            return await (answer if began else run_in_threadpool(work))
        finally:
            turn.cancel()  # of a caller who went away, unless it has begun
