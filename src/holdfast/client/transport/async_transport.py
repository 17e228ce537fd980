"""Sends requests on asyncio, by the rules of `transport.py`."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from http import HTTPStatus

import httpx

from holdfast.client.transport.transport import (
    Address,
    Envelope,
    Link,
    Request,
    Retries,
    connection_errors,
    not_started,
    opened,
)
from holdfast.kit.seal import Secret


class AsyncTransport(Address):
    def __init__(self, host: str, token: Secret | None, link: Link) -> None:
        super().__init__(host, token, link)
        self._http = httpx.AsyncClient()

    async def close(self) -> None:
        await self._http.aclose()

    async def send(self, request: Request) -> Envelope:
        return opened(await self._sent(self.built(request)))

    @contextlib.asynccontextmanager
    async def streamed(
        self, url: str, *, with_token: bool = False
    ) -> AsyncGenerator[httpx.Response]:
        request = self.download(url, with_token=with_token)
        response = await self._sent(request, stream=True)
        try:
            if response.status_code != HTTPStatus.OK:
                await response.aread()
                raise not_started(response)
            with connection_errors(request):
                yield response
        finally:
            await response.aclose()

    async def _sent(self, request: httpx.Request, *, stream: bool = False) -> httpx.Response:
        retries = Retries(request, self.link.clock)
        while True:
            try:
                return await self._http.send(request, stream=stream)
            except httpx.TransportError as error:
                pause = retries.pause_after(error)
            await asyncio.sleep(pause)
