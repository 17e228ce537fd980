"""Ping routes (extension): what is watched says that it lives. The key in the path is all that is
asked for; a wrong one counts as a wrong token does."""

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response

from holdfast.domain.alarms.monitors import MAX_SAID_BYTES, ping_of
from holdfast.domain.errors import NotFound
from holdfast.http.limits.rates import AUTHENTICATED, WRONG
from holdfast.http.state import Api, State
from holdfast.kit.seal import Secret
from holdfast.usecases.alarms.monitors import note_ping

router = APIRouter(tags=["pings"], default_response_class=PlainTextResponse)

_READ_BYTES = 1 << 20
"""Of a larger body no more is read: the ping counts, and the connection is closed."""


@router.head("/ping/{key}", include_in_schema=False)
@router.get("/ping/{key}", name="ping")
@router.post("/ping/{key}", name="post_ping")
async def take_ping(api: State, request: Request, key: str) -> Response:
    """All is well: what was watched has ended, or goes on. A body is kept as what it said."""
    return await _take(api, request, key, "")


@router.head("/ping/{key}/{signal}", include_in_schema=False)
@router.get("/ping/{key}/{signal}", name="signal")
@router.post("/ping/{key}/{signal}", name="post_signal")
async def take_signal(api: State, request: Request, key: str, signal: str) -> Response:
    """`start`, `fail`, `log`, or an exit status, of which 0 is a success."""
    return await _take(api, request, key, signal)


async def _take(api: Api, request: Request, key: str, word: str) -> Response:
    try:
        body, is_whole = await _read(request)
    except ClientDisconnect:  # it died while it spoke, so it did not ping
        return Response(status_code=400)
    ping = ping_of(word, body)
    if ping is None:
        raise NotFound("a ping ends in start, fail, log, an exit status, or nothing")

    def note() -> bool:
        with api.catalog.write() as session:
            return note_ping(session, Secret(key), ping, api.clock.now())

    if not await run_in_threadpool(note):
        request.scope["state"][WRONG] = True
        raise NotFound("there is no monitor with this key")
    request.scope["state"][AUTHENTICATED] = True
    return PlainTextResponse("OK", headers=None if is_whole else {"connection": "close"})


async def _read(request: Request) -> tuple[bytes, bool]:
    """The beginning of the body, and whether all of it was read."""
    beginning, size = bytearray(), 0
    async for chunk in request.stream():
        beginning += chunk[: MAX_SAID_BYTES - len(beginning)]
        size += len(chunk)
        if size > _READ_BYTES:
            return bytes(beginning), False
    return bytes(beginning), True
