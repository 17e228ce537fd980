"""Runs short reads of the catalogue a few at a time.

Threads that read a page each would mostly fight for the interpreter: with 32 at once a page costs
up to three times the processor time that it costs alone, and some callers wait long for nothing.
So reads wait for one of a few threads, in the order in which they came. A read that has waited for
long runs in a thread of its own: then an earlier one reads very much, which the database does
without the interpreter.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool

_PATIENCE_SECONDS = 0.25

T = TypeVar("T")


class Turns:
    """A pool of reader threads, which end with the process.

    An executor would do, but its futures, and the loop's around them, cost as much as a short
    query.
    """

    def __init__(self, at_once: int) -> None:
        self._waiting: SimpleQueue[_Turn] = SimpleQueue()
        for number in range(at_once):
            name = f"reader-{number}"
            threading.Thread(target=self._read, name=name, daemon=True).start()

    async def run(self, work: Callable[[], T]) -> T:
        """Runs `work` in its turn; returns or raises what it does."""
        loop = asyncio.get_running_loop()
        turn = _Turn(loop, work)
        self._waiting.put(turn)
        patience = loop.call_later(_PATIENCE_SECONDS, turn.give_up)
        try:
            began: bool = await turn.over
        finally:
            patience.cancel()
            turn.claim()  # of a caller who went away, unless it has begun
        if not began:
            return await run_in_threadpool(work)
        return turn.result()

    def _read(self) -> None:
        while True:
            turn = self._waiting.get()
            if turn.claim():
                turn.take()


class _Turn:
    """One waiting read. `over` is true when the work ran, false when it was given up."""

    def __init__(self, loop: asyncio.AbstractEventLoop, work: Callable[[], Any]) -> None:
        self.over: asyncio.Future[bool] = loop.create_future()
        self._loop = loop
        self._work = work
        self._context = copy_context()
        self._claimed = threading.Lock()
        self._result: Any = None
        self._error: BaseException | None = None

    def claim(self) -> bool:
        """Returns True to the first caller, who then runs or drops the work."""
        return self._claimed.acquire(blocking=False)

    def take(self) -> None:
        """Runs the work in a reader's thread."""
        try:
            self._result = self._context.run(self._work)
        except BaseException as error:  # noqa: BLE001 - it is raised where the caller waits
            self._error = error
        with suppress(RuntimeError):  # the loop has ended meanwhile, and with it the caller
            self._loop.call_soon_threadsafe(self._end, True)

    def give_up(self) -> None:
        if self.claim():
            self._end(began=False)

    def _end(self, began: bool) -> None:
        if not self.over.done():
            self.over.set_result(began)

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._result
