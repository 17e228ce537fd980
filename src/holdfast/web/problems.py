"""Answers errors as pages: what is wrong, the request's id, and what to do next.

Programs get the API's envelope instead: a wrong address is often the API's with a part left out.
"""

import logging

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from holdfast.catalog.database.session import CatalogAway, CatalogClash
from holdfast.domain.errors import Failure, Refused, Temporary
from holdfast.http import errors
from holdfast.http.state import of
from holdfast.views.alarms.alarms import OpenAlarms
from holdfast.web import session
from holdfast.web.frame import Frame
from holdfast.web.in_process import Trouble
from holdfast.web.rendering import Page, show

log = logging.getLogger(__name__)

_TITLES = {
    400: "That does not make sense",
    403: "This is not allowed",
    404: "There is no such page",
    405: "This cannot be done here",
    409: "That is not possible now",
    413: "That is too large",
    429: "Too many requests",
    503: "Not now",
}
_OURS = "Something broke on our side"
_BROKE = "something broke on our side; the log says what"


def install(app: FastAPI) -> None:
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(Trouble, _answer_trouble)
    app.add_exception_handler(Failure, _answer_failure)
    app.add_exception_handler(CatalogClash, _answer_clash)
    app.add_exception_handler(Exception, _answer_crash)
    for away in CatalogAway:
        app.add_exception_handler(away, _answer_away)


async def _answer_trouble(request: Request, error: Exception) -> Response:
    answer = error.answer if isinstance(error, Trouble) else None
    status, message = (answer.status, answer.message) if answer else (500, _BROKE)
    return await problem(request, status, message)


async def _answer_failure(request: Request, error: Exception) -> Response:
    match error:
        case Refused():
            return await problem(request, error.status, error.message)
        case Temporary():
            return await problem(request, 503, error.message)
        case Failure():
            return await problem(request, 409, error.message)
        case _:
            return await _answer_crash(request, error)


async def _answer_invalid(request: Request, error: Exception) -> Response:
    return await problem(request, 404, f"there is no page {request.url.path}")


async def _answer_http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    sentence = f"there is no page {request.url.path}"
    if status == 405:
        sentence = f"{request.method} is not possible at {request.url.path}"
    return await problem(request, status, sentence)


async def _answer_away(request: Request, error: Exception) -> Response:
    log.warning("catalogue away", extra={"path": request.url.path, "error": str(error)})
    message = f"{errors.CATALOG_AWAY}; before you repeat a change, look whether it was made"
    return await problem(request, 503, message)


async def _answer_clash(request: Request, error: Exception) -> Response:
    log.warning("two changes at once", extra={"path": request.url.path, "error": str(error)})
    return await problem(request, 409, errors.CATALOG_CLASH)


async def _answer_crash(request: Request, error: Exception) -> Response:
    log.error(
        "unhandled", exc_info=error, extra={"method": request.method, "path": request.url.path}
    )
    return await problem(request, 500, _BROKE)


async def problem(request: Request, status: int, message: str) -> Response:
    """The page of an error. It reads nothing but the session, because anything may be broken."""
    if is_program(request):
        return errors.envelope(status, message, f"http.{status}")
    viewer = None
    try:
        viewer = await session.viewer_of(request)
    except (Failure, *CatalogAway) as error:
        log.warning("no session for the page of an error", extra={"error": str(error)})
    frame = Frame(viewer, of(request).clock.now(), OpenAlarms(0, None))
    title = _TITLES.get(status, _OURS if status >= 500 else "That did not work")
    retry = request.method in ("GET", "HEAD") and status != 404
    context = {"status": status, "message": message, "retry": retry}
    return show(request, "problem.html", Page(title), frame, context, status)


def is_program(request: Request) -> bool:
    """Whether no browser asks: those take pages, and say where a request comes from."""
    takes_pages = "text/html" in request.headers.get("accept", "")
    return not takes_pages and "sec-fetch-site" not in request.headers
