"""Monitors: pings that are expected from elsewhere. Add one, change, renew and remove it."""

import re
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from holdfast.web.forms import Form
from holdfast.web.frame import frame_of
from holdfast.web.in_process import Calls, path_of
from holdfast.web.rendering import Page, show
from holdfast.web.session import Posting, Viewer, Viewing

router = APIRouter()

_FIELDS = ("name", "everySeconds", "graceSeconds")
_TRAIL = (("Alarms", "/alarms"),)
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_NO_TIME = "is no time such as 90s, 5m, 1h or 7d"


@router.get("/monitors")
async def new(request: Request, viewer: Viewing) -> Response:
    form = Form.of({"everySeconds": "1d", "graceSeconds": "1h"}, _FIELDS)
    return await _page(request, viewer, form, None)


async def _page(
    request: Request,
    viewer: Viewer,
    form: Form,
    monitor: dict[str, Any] | None,
    status: int = 200,
) -> Response:
    title = monitor["name"] if monitor else "Add a monitor"
    page = Page(title, "alarms", _TRAIL, live="alarms" if monitor else "")
    frame = await frame_of(request, viewer)
    context = {"form": form, "monitor": monitor}
    return show(request, "monitor.html", page, frame, context, status)


def time_of(seconds: int) -> str:
    """The shortest way to write it: `300` is `5m`."""
    unit = next(unit for unit in "dhms" if seconds % _UNIT_SECONDS[unit] == 0)
    return f"{seconds // _UNIT_SECONDS[unit]}{unit}"


def _body(form: Form) -> dict[str, Any]:
    """The API's monitor of the form's fields; notes problems of times in the form."""
    body: dict[str, Any] = {"name": form.value("name")}
    for name in ("everySeconds", "graceSeconds"):
        match = re.fullmatch(r"([1-9][0-9]{0,8}) *([smhd]?)", form.value(name))
        if match is None:
            form.fail("one of the times cannot be read", **{name: _NO_TIME})
        else:
            body[name] = int(match[1]) * _UNIT_SECONDS[match[2] or "s"]
    return body


@router.post("/monitors")
async def add(request: Request, posted: Posting) -> Response:
    form = Form.of(posted.form, _FIELDS)
    body = _body(form)
    if form.message:
        return await _page(request, posted.viewer, form, None, 400)
    answer = await Calls(request, posted.viewer.caller).ask("POST", "/v1/monitors", body)
    if not answer.ok:
        return await _page(request, posted.viewer, form.refuse(answer), None, answer.status)
    return await _show_url(request, posted.viewer, answer.data)


async def _show_url(request: Request, viewer: Viewer, monitor: dict[str, Any]) -> Response:
    """The only page that has the address to ping."""
    frame = await frame_of(request, viewer)
    page = Page(monitor["name"], "alarms", _TRAIL)
    return show(request, "monitor_url.html", page, frame, {"monitor": monitor})


@router.get("/monitors/{monitor}")
async def show_monitor(request: Request, viewer: Viewing, monitor: str) -> Response:
    shown = await Calls(request, viewer.caller).get(path_of("monitors", monitor))
    return await _page(request, viewer, _form_of(shown), shown)


def _form_of(monitor: dict[str, Any]) -> Form:
    values = {
        "name": monitor["name"],
        "everySeconds": time_of(monitor["everySeconds"]),
        "graceSeconds": time_of(monitor["graceSeconds"]),
    }
    return Form.of(values, _FIELDS)


@router.post("/monitors/{monitor}")
async def change(request: Request, posted: Posting, monitor: str) -> Response:
    calls = Calls(request, posted.viewer.caller)
    shown = await calls.get(path_of("monitors", monitor))
    form = Form.of(posted.form, _FIELDS)
    body = _body(form)
    if form.message:
        return await _page(request, posted.viewer, form, shown, 400)
    answer = await calls.ask("PATCH", path_of("monitors", monitor), body)
    if not answer.ok:
        return await _page(request, posted.viewer, form.refuse(answer), shown, answer.status)
    return RedirectResponse(f"/monitors/{monitor}", 303)


@router.post("/monitors/{monitor}/renew")
async def renew(request: Request, posted: Posting, monitor: str) -> Response:
    """Makes another address to ping; the old one means nothing any more."""
    calls = Calls(request, posted.viewer.caller)
    answer = await calls.ask("POST", path_of("monitors", monitor, "renew"), {})
    return await _show_url(request, posted.viewer, answer.data)


@router.post("/monitors/{monitor}/delete")
async def remove(request: Request, posted: Posting, monitor: str) -> Response:
    calls = Calls(request, posted.viewer.caller)
    (await calls.ask("DELETE", path_of("monitors", monitor))).data  # noqa: B018 - raises
    return RedirectResponse("/alarms#mo", 303)
