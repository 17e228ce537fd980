"""Alarms: what is wrong, who takes care of it, who is told, and whether the message arrived."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from holdfast.web.forms import Form
from holdfast.web.frame import frame_of
from holdfast.web.in_process import Calls, path_of
from holdfast.web.pages.addons.addon import together
from holdfast.web.rendering import Page, show
from holdfast.web.session import Posting, Viewer, Viewing
from holdfast.web.showing import exports

router = APIRouter()

_SNOOZES = ((60, "1 h"), (480, "8 h"), (1440, "1 day"), (10_080, "1 week"))
_EXPORT_PAGES = 100


@router.get("/alarms")
async def alarms(request: Request, viewer: Viewing) -> Response:
    return await _page(request, viewer, Form())


async def _page(request: Request, viewer: Viewer, form: Form, status: int = 200) -> Response:
    calls, query = Calls(request, viewer.caller), request.query_params
    settled, cursor = query.get("show") == "settled", query.get("cursor")
    filters = {"open": not settled, "severity": query.getlist("severity")}
    if query.get("format"):
        return exports.table(request, "alarms", await _every_alarm(calls, filters))
    listed, opened, channels, deliveries = await together(
        calls.ask("GET", "/v1/alarms", query={**filters, "cursor": cursor, "per_page": 50}),
        calls.ask("GET", "/v1/alarms", query={"open": True, "per_page": 100}),
        calls.ask("GET", "/v1/channels", query={"per_page": 100}),
        calls.ask("GET", "/v1/deliveries", query={"per_page": 15}),
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
        "snoozes": _SNOOZES,
        "form": form,
    }
    page = Page("Alarms", "alarms", live="alarms")
    frame = await frame_of(request, viewer)
    return show(request, "alarms.html", page, frame, context, status)


async def _every_alarm(calls: Calls, filters: dict[str, Any]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    cursor: str | None = None
    names = ("id", "kind", "severity", "subject", "reason", "projectId", "addonId", "since")
    times = ("openedAt", "acknowledgedAt", "acknowledgedBy", "snoozedUntil", "closedAt", "closedBy")
    for _ in range(_EXPORT_PAGES):
        query = {**filters, "cursor": cursor, "per_page": 100}
        answer = await calls.ask("GET", "/v1/alarms", query=query)
        rows += [
            {name: alarm.get(name) for name in (*names, *times)} for alarm in answer.data["alarms"]
        ]
        cursor = answer.cursor
        if cursor is None:
            break
    return rows


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
