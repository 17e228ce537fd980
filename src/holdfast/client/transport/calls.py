"""Describes each call once, and carries it out blocking or on asyncio.

A call is a generator: it yields requests and pauses, is sent the answers, and returns its value. It
has no sockets and no `await`, so `Client` and `AsyncClient` share every call.
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Concatenate, Generic, ParamSpec, TypeAlias, TypeVar, overload

from holdfast.client.models.models import Model
from holdfast.client.transport.async_transport import AsyncTransport
from holdfast.client.transport.errors import ApiError
from holdfast.client.transport.parse import parsed_all
from holdfast.client.transport.transport import (
    Body,
    Envelope,
    Pager,
    Params,
    Request,
    Transport,
)

T = TypeVar("T")
M = TypeVar("M", bound=Model)
P = ParamSpec("P")


@dataclass(frozen=True)
class Pause:
    seconds: float


Step: TypeAlias = Request | Pause
Steps: TypeAlias = Generator[Step, Envelope | None, T]


@dataclass(frozen=True)
class Listing(Generic[M]):
    """A list in pages. `key` names the list in the page's data; None: the data is the list."""

    model: type[M]
    path: str
    key: str | None
    params: Params | None = None

    def pager(self) -> Pager:
        return Pager(self.path, self.key, self.params)


class Blocking:
    """Carries a call out before it returns."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def run(self, steps: Steps[T]) -> T:
        try:
            step = next(steps)
            while True:
                try:
                    answer = self._carried_out(step)
                except ApiError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration as end:
            return end.value

    def _carried_out(self, step: Step) -> Envelope | None:
        if isinstance(step, Pause):
            self.transport.link.pause(step.seconds)
            return None
        return self.transport.send(step)

    def pages(self, listing: Listing[M]) -> Iterator[M]:
        pager = listing.pager()
        while pager.more:
            yield from parsed_all(listing.model, pager.take(self.transport.send(pager.request)))


class Awaiting:
    """Carries a call out on asyncio."""

    def __init__(self, transport: AsyncTransport) -> None:
        self.transport = transport

    async def run(self, steps: Steps[T]) -> T:
        try:
            step = next(steps)
            while True:
                try:
                    answer = await self._carried_out(step)
                except ApiError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration as end:
            return end.value

    async def _carried_out(self, step: Step) -> Envelope | None:
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        return await self.transport.send(step)

    async def pages(self, listing: Listing[M]) -> AsyncIterator[M]:
        pager = listing.pager()
        while pager.more:
            page = pager.take(await self.transport.send(pager.request))
            for item in parsed_all(listing.model, page):
                yield item


R = TypeVar("R", Blocking, Awaiting)


class Noun(Generic[R]):
    """A group of calls; `R` carries them out."""

    def __init__(self, runner: R) -> None:
        self.runner: R = runner


class call(Generic[P, T]):  # noqa: N801 - a decorator
    """Makes a method that describes a call carry it out."""

    def __init__(self, describe: Callable[Concatenate[Any, P], Steps[T]]) -> None:
        self.describe = describe
        self.__doc__ = describe.__doc__

    @overload
    def __get__(self, noun: Noun[Blocking], owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, noun: Noun[Awaiting], owner: type) -> Callable[P, Awaitable[T]]: ...
    def __get__(self, noun: Noun[Any], owner: type) -> Callable[P, Any]:
        @functools.wraps(self.describe)
        def carried_out(*args: P.args, **kwargs: P.kwargs) -> Any:
            return noun.runner.run(self.describe(noun, *args, **kwargs))

        return carried_out


class listing(Generic[P, M]):  # noqa: N801 - a decorator
    """Like `call`, for lists: items come page after page on demand."""

    def __init__(self, describe: Callable[Concatenate[Any, P], Listing[M]]) -> None:
        self.describe = describe
        self.__doc__ = describe.__doc__

    @overload
    def __get__(self, noun: Noun[Blocking], owner: type) -> Callable[P, Iterator[M]]: ...
    @overload
    def __get__(self, noun: Noun[Awaiting], owner: type) -> Callable[P, AsyncIterator[M]]: ...
    def __get__(self, noun: Noun[Any], owner: type) -> Callable[P, Any]:
        @functools.wraps(self.describe)
        def begun(*args: P.args, **kwargs: P.kwargs) -> Any:
            return noun.runner.pages(self.describe(noun, *args, **kwargs))

        return begun


def ask(request: Request) -> Steps[Envelope]:
    answer = yield request
    if answer is None:
        raise AssertionError("requests are answered, pauses are not")
    return answer


def get(path: str, params: Params | None = None) -> Steps[object]:
    return (yield from ask(Request("GET", path, params))).data


def post(path: str, body: Body | None = None, params: Params | None = None) -> Steps[object]:
    return (yield from ask(Request("POST", path, params, body))).data


def put(path: str, body: Body) -> Steps[object]:
    return (yield from ask(Request("PUT", path, None, body))).data


def patch(path: str, body: Body) -> Steps[object]:
    return (yield from ask(Request("PATCH", path, None, body))).data


def delete(path: str, params: Params | None = None) -> Steps[None]:
    yield from ask(Request("DELETE", path, params))
