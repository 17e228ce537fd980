"""Health routes for supervisors and load balancers, without a token: alive, ready."""

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
_PROBE_WORKER = "readiness-probe"


@router.get("/healthz")
async def live() -> Response:
    return JSONResponse({"data": {"status": "ok"}})


@router.get("/readyz")
async def ready(request: Request, api: State) -> Response:
    """Answers 503 with the parts that cannot be reached."""
    problems = await request.app.state.readiness.problems(api)
    if not problems:
        return JSONResponse({"data": {"status": "ok"}})
    message = f"not ready: {', '.join(sorted(problems))}"
    error = {"status": 503, "message": message, "id": "not-ready", "details": problems}
    return JSONResponse({"error": error}, status_code=503)


class Readiness:
    """Checks catalogue, queue and store, once a second at most, because anybody may ask."""

    def __init__(self) -> None:
        self._checking = asyncio.Lock()
        self._last: tuple[float, dict[str, str]] | None = None

    async def problems(self, api: Api) -> dict[str, str]:
        async with self._checking:
            now = api.clock.monotonic()
            if self._last is None or now - self._last[0] >= _FRESH_SECONDS:
                self._last = (now, await run_in_threadpool(problems_of, api))
            return self._last[1]


def problems_of(api: Api) -> dict[str, str]:
    """Returns a sentence for each part that does not answer.

    Anybody may ask, so the cause, with names and addresses, goes to the log alone.
    """
    causes: dict[str, str] = {}
    try:
        api.catalog.ping()
    except CatalogAway as error:
        causes["database"] = str(error.orig)
    try:
        api.services.queue.orphans([_PROBE_WORKER])
    except Exception as error:  # noqa: BLE001 - whatever an adapter raises means not ready
        causes["queue"] = str(error)
    try:
        next(api.open_store(None).list("readiness/"), None)
    except Failure as error:
        causes["store"] = error.message
    for part, cause in causes.items():
        log.warning("not ready", extra={"part": part, "why": cause})
    return dict.fromkeys(causes, "does not answer; the log says why")
