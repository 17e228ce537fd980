"""Runs routes that only read in the API's few reader threads, in turn."""

from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import ParamSpec, TypeVar, cast

from holdfast.http.state import Api

P = ParamSpec("P")
T = TypeVar("T")


def in_turn(endpoint: Callable[P, T]) -> Callable[P, Awaitable[T]]:
    """Wraps a route whose `api` argument, which the framework passes by name, has the turns."""

    @wraps(endpoint)
    async def waiting(*args: P.args, **kwargs: P.kwargs) -> T:
        api = cast("Api", kwargs["api"])
        return await api.turns.run(partial(endpoint, *args, **kwargs))

    return waiting
