"""Turns every error into the one envelope that the official clients read."""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Match

from holdfast.catalog.database.session import CatalogAway, CatalogClash
from holdfast.domain.errors import Conflict, Failure, Invalid, Refused, Temporary

log = logging.getLogger(__name__)

CATALOG_AWAY = "the catalogue does not answer"
CATALOG_CLASH = "another change came first; look at what it made, then try again"
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_WORDS = {
    404: "there is no such route",
    405: "this method is not allowed here",
    413: "the request body is too large",
    415: "the request body must be application/json",
}


def envelope(
    status: int,
    message: str,
    code: str,
    details: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    error: dict[str, Any] = {"status": status, "message": message, "id": code}
    if details:
        error["details"] = dict(details)
    return JSONResponse({"error": error}, status_code=status, headers=headers)


def install(app: FastAPI) -> None:
    app.add_exception_handler(RequestValidationError, answer_invalid)
    app.add_exception_handler(HTTPException, answer_http_error)
    app.add_exception_handler(Failure, answer_failure)
    app.add_exception_handler(CatalogClash, answer_clash)
    app.add_exception_handler(Exception, answer_crash)
    for away in CatalogAway:
        app.add_exception_handler(away, answer_away)


def path_of(location: Sequence[str | int]) -> str:
    """Makes `additionalDestinations[0].type` of `("body", "additionalDestinations", 0, "type")`."""
    text = ""
    for part in location[1:]:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "body"


_SENTENCES = {"missing": "is required", "extra_forbidden": "is not a known setting"}


def details_of(errors: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return {
        path_of(problem["loc"]): _SENTENCES.get(problem["type"])
        or re.sub(r"^\w+ should ", "must ", str(problem["msg"]).removeprefix("Value error, "))
        for problem in errors
    }


async def answer_invalid(_: Request, error: Exception) -> JSONResponse:
    problems: Sequence[Mapping[str, Any]] = ()
    if isinstance(error, RequestValidationError):
        problems = error.errors()
    if any(problem["type"] == "json_invalid" for problem in problems):
        problem = "is not well-formed JSON"
        return envelope(400, f"the request body {problem}", "invalid", {"body": problem})
    details = details_of(problems)
    sentence = "; ".join(f"{path} {text}" for path, text in sorted(details.items()))
    return envelope(400, f"the request is not valid: {sentence}", "invalid", details)


async def answer_http_error(request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    word = _WORDS.get(status, "the request cannot be answered")
    sentence = f"{word}: {request.method} {request.url.path}"
    headers = None
    if status == 405:  # the framework names the methods of the path's first route only
        routes: Sequence[BaseRoute] = request.app.routes
        scopes = {method: {**request.scope, "method": method} for method in _METHODS}
        allowed = [
            method
            for method, scope in scopes.items()
            if any(route.matches(scope)[0] is Match.FULL for route in routes)
        ]
        headers = {"allow": ", ".join(allowed)}
    return envelope(status, sentence, f"http.{status}", headers=headers)


async def answer_failure(request: Request, error: Exception) -> JSONResponse:
    match error:
        case Invalid() | Conflict():
            return envelope(error.status, error.message, error.code, error.details)
        case Refused():
            return envelope(error.status, error.message, error.code)
        case Temporary():
            return envelope(503, error.message, error.code)
        case Failure():
            return envelope(409, error.message, error.code)
        case _:
            return await answer_crash(request, error)


async def answer_clash(request: Request, error: Exception) -> JSONResponse:
    """Two callers took the same name, or did the same thing, at once."""
    log.warning("two changes at once", extra={"path": request.url.path, "error": str(error)})
    return envelope(409, CATALOG_CLASH, "conflict")


async def answer_away(request: Request, error: Exception) -> JSONResponse:
    """A change that was under way may have been made: the answer of its commit is what is lost."""
    log.warning("catalogue away", extra={"path": request.url.path, "error": str(error)})
    message = f"{CATALOG_AWAY}; ask again"
    return envelope(503, message, "catalog.away", headers={"retry-after": "1"})


async def answer_crash(request: Request, error: Exception) -> JSONResponse:
    log.error(
        "unhandled", exc_info=error, extra={"method": request.method, "path": request.url.path}
    )
    return envelope(500, "something broke on our side; the log says what", "internal")
