"""A route that only reads a page or a thing: it waits for its turn, and then gets a thread."""

from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import ParamSpec, TypeVar, cast

from holdfast.http.state import Api

P = ParamSpec("P")
T = TypeVar("T")


def in_turn(endpoint: Callable[P, T]) -> Callable[P, Awaitable[T]]:
    """Its `api` argument, which the framework gives by name, has the turns."""

    @wraps(endpoint)
    async def waiting(*given: P.args, **named: P.kwargs) -> T:
        api = cast("Api", named["api"])
        return await api.turns.run(partial(endpoint, *given, **named))

    return waiting
