"""Is it alive, is it ready: for supervisors and load balancers, without a token."""

import asyncio
import logging

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from holdfast.catalog.database.session import CatalogAway
from holdfast.domain.errors import Failure
from holdfast.http.state import Api, State

log = logging.getLogger(__name__)
router = APIRouter(tags=["health"])

_FRESH_SECONDS = 1.0
_NOBODY = "readiness-probe"


@router.get("/healthz")
async def live() -> Response:
    return JSONResponse({"data": {"status": "ok"}})


@router.get("/readyz")
async def ready(request: Request, api: State) -> Response:
    """503 with the reason for each part that cannot be reached."""
    problems = await request.app.state.readiness.problems(api)
    if not problems:
        return JSONResponse({"data": {"status": "ok"}})
    message = f"not ready: {', '.join(sorted(problems))}"
    error = {"status": 503, "message": message, "id": "not-ready", "details": problems}
    return JSONResponse({"error": error}, status_code=503)


class Readiness:
    """Looked at once a second at most, whoever asks: anybody may, and it costs a look at the
    catalogue, the queue and the store."""

    def __init__(self) -> None:
        self._looking = asyncio.Lock()
        self._seen: tuple[float, dict[str, str]] | None = None

    async def problems(self, api: Api) -> dict[str, str]:
        async with self._looking:
            now = api.clock.monotonic()
            if self._seen is None or now - self._seen[0] >= _FRESH_SECONDS:
                self._seen = (now, await run_in_threadpool(_problems, api))
            return self._seen[1]


def _problems(api: Api) -> dict[str, str]:
    return {
        part: problem
        for part, problem in {
            "database": _database(api),
            "queue": _queue(api),
            "store": _store(api),
        }.items()
        if problem is not None
    }


def _database(api: Api) -> str | None:
    try:
        api.catalog.ping()
    except CatalogAway as error:
        return _hidden("database", str(error.orig))
    return None


def _queue(api: Api) -> str | None:
    try:
        api.services.queue.orphans([_NOBODY])
    except Exception as error:  # noqa: BLE001 - whatever an adapter raises means not ready
        return _hidden("queue", str(error))
    return None


def _store(api: Api) -> str | None:
    try:
        next(api.open_store(None).list("readiness/"), None)
    except Failure as error:
        return _hidden("store", error.message)
    return None


def _hidden(part: str, why: str) -> str:
    """Anybody may ask, so what went wrong, with names and addresses, is for the log alone."""
    log.warning("not ready", extra={"part": part, "why": why})
    return "does not answer; the log says why"
