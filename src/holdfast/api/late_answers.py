"""Answers of work that may take minutes: they begin before it ends, so that no proxy and no client
takes the silence for a broken connection.

What ends soon is answered as everything else. Else the status is sent, and blanks, which JSON may
begin with; a failure that comes later is an error's envelope all the same, whose own `status` says
what it would have been.
"""

import asyncio
from collections.abc import AsyncIterator

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from holdfast.http.answers import MEDIA
from holdfast.http.errors import answer_failure

PATIENCE_SECONDS = 5.0
"""How long an answer waits for its status, and then for each next blank."""


async def answer_late(request: Request, work: "asyncio.Future[Response]") -> Response:
    """The answer of `work`, which goes on when the client leaves. Raises what it raises soon."""
    await asyncio.wait([work], timeout=PATIENCE_SECONDS)
    if work.done():
        return work.result()
    return StreamingResponse(_blanks_and(request, work), media_type=MEDIA)


async def _blanks_and(
    request: Request, work: "asyncio.Future[Response]"
) -> AsyncIterator[bytes | memoryview]:
    while not work.done():
        yield b"\n"
        await asyncio.wait([work], timeout=PATIENCE_SECONDS)
    error = work.exception()
    if isinstance(error, Exception):
        yield (await answer_failure(request, error)).body
    else:
        yield work.result().body
