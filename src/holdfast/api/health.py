"""Is it alive, is it ready: for supervisors and load balancers, without a token."""

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from holdfast.api.state import Api, State
from holdfast.catalog.session import CatalogAway
from holdfast.domain.errors import Failure

router = APIRouter(tags=["health"])

_NOBODY = "readiness-probe"


@router.get("/healthz")
def live() -> Response:
    return JSONResponse({"data": {"status": "ok"}})


@router.get("/readyz")
def ready(api: State) -> Response:
    """503 with the reason for each part that cannot be reached."""
    problems = {
        part: problem
        for part, problem in {
            "database": _database(api),
            "queue": _queue(api),
            "store": _store(api),
        }.items()
        if problem is not None
    }
    if not problems:
        return JSONResponse({"data": {"status": "ok"}})
    message = f"not ready: {', '.join(sorted(problems))}"
    error = {"status": 503, "message": message, "id": "not-ready", "details": problems}
    return JSONResponse({"error": error}, status_code=503)


def _database(api: Api) -> str | None:
    try:
        api.catalog.ping()
    except CatalogAway as error:
        return f"does not answer: {error.orig}"
    return None


def _queue(api: Api) -> str | None:
    try:
        api.house.queue.orphans([_NOBODY])
    except Exception as error:  # noqa: BLE001 - whatever an adapter raises means not ready
        return f"does not answer: {type(error).__name__}"
    return None


def _store(api: Api) -> str | None:
    try:
        next(api.open_store(None).list("readiness/"), None)
    except Failure as error:
        return error.message
    return None
