"""Runs pieces of work side by side; the first failure stops the others."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from holdfast.domain.errors import Failure, Interrupted
from holdfast.kit.processes.guard import Guard


def together(works: Sequence[Callable[[Guard], None]], guard: Guard) -> None:
    """Runs each of `works` in a thread of its own, with a guard that the first failure stops.

    Returns, or raises that failure, when all have ended.
    """

    def carry_out(work: Callable[[Guard], None]) -> None:
        try:
            work(part)
        except BaseException as error:
            part.stop(error if isinstance(error, Failure) else Interrupted("work beside it failed"))
            raise
        part.check()

    with guard.part() as part, ThreadPoolExecutor(len(works), "together") as pool:
        started = [pool.submit(carry_out, work) for work in works]
    for future in started:
        future.result()
