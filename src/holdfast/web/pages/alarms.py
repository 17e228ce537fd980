"""Alarms: what is wrong, who takes care of it, who is told, and whether the message arrived."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from holdfast.web.forms import Form
from holdfast.web.frame import frame_of
from holdfast.web.in_process import Calls, path_of
from holdfast.web.pages.addons.addon import together
from holdfast.web.rendering import Page, show, templates_of
from holdfast.web.session import Posting, Viewer, Viewing
from holdfast.web.showing import exports

router = APIRouter()

_SNOOZES = ((60, "1 h"), (480, "8 h"), (1440, "1 day"), (10_080, "1 week"))


@router.get("/alarms")
async def alarms(request: Request, viewer: Viewing) -> Response:
    return await _page(request, viewer, Form())


async def _page(request: Request, viewer: Viewer, form: Form, status: int = 200) -> Response:
    calls, query = Calls(request, viewer.caller), request.query_params
    settled, cursor = query.get("show") == "settled", query.get("cursor")
    filters = {"open": not settled, "severity": query.getlist("severity")}
    if query.get("format"):
        return await _file(request, calls, filters)
    listed, opened, channels, deliveries, monitors = await together(
        calls.ask("GET", "/v1/alarms", query={**filters, "cursor": cursor, "per_page": 50}),
        calls.ask("GET", "/v1/alarms", query={"open": True, "per_page": 100}),
        calls.ask("GET", "/v1/channels", query={"per_page": 100}),
        calls.ask("GET", "/v1/deliveries", query={"per_page": 15}),
        calls.ask("GET", "/v1/monitors", query={"per_page": 100}),
    )
    open_alarms = opened.data["alarms"]
    context = {
        "alarms": listed.data["alarms"],
        "cursor": listed.cursor,
        "settled": settled,
        "open_alarms": open_alarms,
        "untaken": [alarm for alarm in open_alarms if "acknowledgedAt" not in alarm],
        "channels": channels.items("channels"),
        "sees_channels": channels.ok,
        "deliveries": deliveries.items("deliveries"),
        "monitors": monitors.items("monitors"),
        "sees_monitors": monitors.ok,
        "snoozes": _SNOOZES,
        "form": form,
    }
    page = Page("Alarms", "alarms", live="alarms")
    frame = await frame_of(request, viewer)
    return show(request, "alarms.html", page, frame, context, status)


_COLUMNS = {
    "alarms": (
        *("id", "kind", "severity", "subject", "reason", "projectId", "addonId", "since"),
        *("openedAt", "acknowledgedAt", "acknowledgedBy", "snoozedUntil", "closedAt", "closedBy"),
    ),
    "channels": (
        *("id", "name", "kind", "receiver", "severity", "projects", "resolved", "digest"),
        *("failing", "failures", "problem", "deliveredAt", "nextTryAt"),
    ),
    "deliveries": (
        *("id", "channel", "event", "title", "status", "createdAt", "sentAt", "givenUpAt"),
        "attempts",
    ),
    "monitors": (
        *("id", "name", "state", "problem", "since", "everySeconds", "graceSeconds", "dueAt"),
        *("pingedAt", "signal", "succeededAt", "startedAt", "createdAt", "updatedAt"),
    ),
}
"""Columns of the files of this page's tables."""


async def _file(request: Request, calls: Calls, filters: dict[str, Any]) -> Response:
    """One table of the page as a file; `of` names which, alarms when absent."""
    name = request.query_params.get("of", "")
    name = name if name in _COLUMNS else "alarms"
    listed = await calls.every(path_of(name), name, filters if name == "alarms" else None)
    rows = [{column: row.get(column) for column in _COLUMNS[name]} for row in listed]
    return exports.table(request, name, rows)


@router.get("/alarms/count")
async def count(request: Request, viewer: Viewing) -> Response:
    """What the title and the icon of every open page say."""
    alarms = (await frame_of(request, viewer)).alarms
    icon = templates_of(request).icon(alarms.worst)
    return JSONResponse({"count": alarms.count, "icon": icon})


@router.post("/alarms/{alarm}/acknowledge")
async def acknowledge(request: Request, posted: Posting, alarm: str) -> Response:
    return await _act(request, posted.viewer, path_of("alarms", alarm, "acknowledge"), {})


@router.post("/alarms/{alarm}/snooze")
async def snooze(request: Request, posted: Posting, alarm: str) -> Response:
    minutes = Form.of(posted.form).number("minutes")
    path = path_of("alarms", alarm, "snooze")
    return await _act(request, posted.viewer, path, {"minutes": minutes})


@router.post("/alarms/{alarm}/close")
async def close(request: Request, posted: Posting, alarm: str) -> Response:
    return await _act(request, posted.viewer, path_of("alarms", alarm, "close"), {})


@router.post("/deliveries/{delivery}/resend")
async def resend(request: Request, posted: Posting, delivery: str) -> Response:
    return await _act(request, posted.viewer, path_of("deliveries", delivery, "resend"), {})


async def _act(request: Request, viewer: Viewer, path: str, body: dict[str, Any]) -> Response:
    answer = await Calls(request, viewer.caller).ask("POST", path, body)
    if not answer.ok:
        return await _page(request, viewer, Form().refuse(answer), answer.status)
    return RedirectResponse("/alarms", 303)
