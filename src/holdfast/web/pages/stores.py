"""One store: whether it works now, what is in it, and backups of a lost installation in it."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from holdfast.domain.access import Permission
from holdfast.http.auth import check
from holdfast.views.metrics.stored import PLATFORM
from holdfast.web.forms import Form, without_empty
from holdfast.web.frame import frame_of
from holdfast.web.in_process import Calls, path_of
from holdfast.web.rendering import Page, show
from holdfast.web.session import Posting, Viewer, Viewing, require_fresh
from holdfast.web.showing import exports

router = APIRouter()

_TRAIL = (("Destinations", "/places"),)
_FIELDS = ("passphrase", "trusted", "after")
_ROUNDS = 10
"""Calls of one request: each adopts the backups of 20 addons."""


def _route(store: str, *rest: str) -> str:
    """The API's route of something of a destination, or of the platform's own store."""
    if store == PLATFORM:
        return path_of("platform-store", *rest)
    return path_of("backup-destinations", store, *rest)


async def _name(calls: Calls, store: str) -> str:
    """Raises Trouble as the API does, where there is no such destination."""
    return "this installation" if store == PLATFORM else (await calls.get(_route(store)))["name"]


@router.get("/stores/{store}")
async def show_store(request: Request, viewer: Viewing, store: str) -> Response:
    """What lies there; the page of a destination shows its settings beside."""
    return await _page(request, viewer, store, None)


async def _page(
    request: Request, viewer: Viewer, store: str, probe: dict[str, Any] | None, status: int = 200
) -> Response:
    calls, query = Calls(request, viewer.caller), request.query_params
    name = await _name(calls, store)
    parameters = {"per_page": 100 if query.get("format") else 50, "cursor": query.get("cursor")}
    answer = await calls.ask("GET", _route(store, "backups"), query=parameters)
    if query.get("format"):
        return exports.table(request, f"{store}-backups", await _every_copy(calls, store))
    context = {
        "store": store,
        "name": name,
        "is_platform": store == PLATFORM,
        "stored": answer.data,
        "cursor": answer.cursor,
        "probe": probe,
    }
    frame = await frame_of(request, viewer)
    return show(request, "store.html", Page(name, "places", _TRAIL), frame, context, status)


async def _every_copy(calls: Calls, store: str) -> list[dict[str, object]]:
    return [
        {
            "id": copy["id"],
            "uid": copy["uid"],
            "name": copy["name"],
            "project": copy["project"]["id"],
            "addon": copy["addon"]["id"],
            "status": copy["status"],
            "bytes": int(copy["config"]["size"]),
            "createdAt": copy["createdAt"],
            "completedAt": copy.get("completedAt"),
            "reason": copy.get("reason"),
        }
        for copy in await calls.every(_route(store, "backups"), "")
    ]


@router.post("/stores/{store}/probe")
async def probe(request: Request, posted: Posting, store: str) -> Response:
    """Writes, reads back, lists and deletes there now, and shows what became of it."""
    calls = Calls(request, posted.viewer.caller)
    answer = await calls.ask("POST", _route(store, "probe"), {})
    return await _page(request, posted.viewer, store, answer.data)


@router.get("/stores/{store}/adopt")
async def adoption(request: Request, viewer: Viewing, store: str) -> Response:
    check(viewer.caller, Permission.DESTINATION_UPDATE)
    return await _adoption_page(request, viewer, store, Form(known=_FIELDS), None)


async def _adoption_page(
    request: Request,
    viewer: Viewer,
    store: str,
    form: Form,
    adopted: dict[str, Any] | None,
    status: int = 200,
) -> Response:
    name = await _name(Calls(request, viewer.caller), store)
    context = {
        "store": store,
        "name": name,
        "is_platform": store == PLATFORM,
        "form": form,
        "adopted": adopted,
    }
    page = Page("Adopt backups", "places", (*_TRAIL, (name, f"/stores/{store}")))
    frame = await frame_of(request, viewer)
    return show(request, "adopt.html", page, frame, context, status)


@router.post("/stores/{store}/adopt")
async def adopt(request: Request, posted: Posting, store: str) -> Response:
    """Takes in backups that no entry names, some addons at a time."""
    require_fresh(request, posted.viewer, posted.form)
    form = Form.of(posted.form, _FIELDS)
    calls = Calls(request, posted.viewer.caller)
    adopted: dict[str, Any] = {
        "backups": [], "archives": [], "problems": [], "next": form.value("after"),
    }  # fmt: skip
    for _ in range(_ROUNDS):
        body = {"passphrase": form.value("passphrase"), "after": adopted["next"]}
        chosen = {**without_empty(body), "trusted": form.on("trusted")}
        answer = await calls.ask("POST", _route(store, "adopt"), chosen)
        if not answer.ok:
            refused = form.refuse(answer)
            so_far = adopted if adopted["backups"] or adopted["archives"] else None
            viewer = posted.viewer
            return await _adoption_page(request, viewer, store, refused, so_far, answer.status)
        adopted["backups"] += answer.data["backups"]
        adopted["archives"] += answer.data["archives"]
        adopted["problems"] += answer.data["problems"]
        adopted["next"] = answer.data.get("next")
        if adopted["next"] is None:
            break
    form.values["after"] = adopted["next"] or ""
    return await _adoption_page(request, posted.viewer, store, form, adopted)
