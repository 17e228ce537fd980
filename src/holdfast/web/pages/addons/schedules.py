"""Schedules of one addon: add, edit, delete; what ran, what is due, and why or why not."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from holdfast.web.forms import Form, numbers_of, without_empty
from holdfast.web.frame import frame_of
from holdfast.web.in_process import Answer
from holdfast.web.pages.addons.addon import Place, place, together
from holdfast.web.pages.addons.backup import form_context
from holdfast.web.rendering import show
from holdfast.web.session import Posting, Viewer, Viewing
from holdfast.web.showing import exports

router = APIRouter()

_SCHEDULE = "/p/{project}/{addon}/schedules/{schedule}"
_FIELDS = (
    "backupType",
    "compressionType",
    "scheduling.interval",
    "scheduling.minute",
    "scheduling.hour",
    "scheduling.day",
    "retentionTime",
    "customDestinationId",
    "additionalDestinations",
)
_USUAL = {
    "backupType": "dump",
    "scheduling.interval": "daily",
    "scheduling.minute": "0",
    "scheduling.hour": "2",
    "retentionTime": "30",
}


@router.get("/p/{project}/{addon}/schedules/new")
async def new(request: Request, viewer: Viewing, project: str, addon: str) -> Response:
    at = place(request, viewer.caller, project, addon)
    form = Form.of({**_USUAL, **request.query_params}, _FIELDS)
    return await _form_page(request, viewer, at, form, None)


async def _form_page(
    request: Request,
    viewer: Viewer,
    at: Place,
    form: Form,
    schedule: dict[str, Any] | None,
    status: int = 200,
) -> Response:
    context: dict[str, Any] = {
        **await form_context(at, form),
        "schedule": schedule,
        "upcoming": [],
        "history": [],
        "cursor": None,
        "explanation": None,
        "asked": "",
    }
    title = "Add a schedule" if schedule is None else f"{schedule['scheduling']['interval']} backup"
    if schedule is not None and status == 200:
        path = at.path("backup-schedules", schedule["id"])
        upcoming, history = await together(
            at.calls.get(f"{path}/occurrences", next=8),
            at.calls.ask(
                "GET",
                f"{path}/history",
                query={"cursor": request.query_params.get("cursor"), "per_page": 25},
            ),
        )
        context["upcoming"] = upcoming["occurrences"]
        context["history"], context["cursor"] = history.data["occurrences"], history.cursor
        instant = request.query_params.get("at", "")
        if instant:
            answer = await at.calls.ask("GET", f"{path}/why", query={"at": instant})
            context["asked"] = instant
            context["explanation"] = answer.data["sentence"] if answer.ok else answer.message
    frame = await frame_of(request, viewer)
    page = at.page(title.capitalize(), live=at.topic if schedule else "")
    return show(request, "addons/schedule.html", page, frame, context, status)


def _body(form: Form) -> dict[str, Any]:
    """The API's schedule of the form's fields."""
    kind, interval = form.value("backupType"), form.value("scheduling.interval")
    days = [int(day) for day in form.all("scheduling.day") if day.isdigit()]
    return without_empty(
        {
            "backupType": kind,
            "compressionType": form.value("compressionType") if kind == "dump" else "",
            "customDestinationId": form.value("customDestinationId") if kind == "dump" else "",
            "additionalDestinations": [
                {"destinationId": destination} for destination in form.all("additionalDestinations")
            ]
            if kind == "snapshot"
            else [],
            "retentionTime": form.number("retentionTime"),
            "scheduling": without_empty(
                {
                    "interval": interval,
                    "minute": numbers_of(form.value("scheduling.minute")),
                    "hour": None
                    if interval == "hourly"
                    else numbers_of(form.value("scheduling.hour")),
                    "day": days if interval == "weekly" else None,
                }
            ),
        }
    )


@router.post("/p/{project}/{addon}/schedules")
async def create(request: Request, posted: Posting, project: str, addon: str) -> Response:
    at = place(request, posted.viewer.caller, project, addon)
    form = Form.of(posted.form, _FIELDS)
    answer = await at.calls.ask("POST", at.path("backup-schedules"), _body(form))
    if not answer.ok:
        refused = form.refuse(answer)
        return await _form_page(request, posted.viewer, at, refused, None, answer.status)
    return RedirectResponse(f"{at.url}/schedules/{answer.data['id']}", 303)


@router.get(_SCHEDULE)
async def show_schedule(
    request: Request, viewer: Viewing, project: str, addon: str, schedule: str
) -> Response:
    at = place(request, viewer.caller, project, addon)
    shown = await at.calls.get(at.path("backup-schedules", schedule))
    if request.query_params.get("format"):
        rows = await _every_occurrence(at, schedule)
        return exports.table(request, f"{addon}-{shown['scheduling']['interval']}", rows)
    return await _form_page(request, viewer, at, _form_of(shown), shown)


def _form_of(schedule: dict[str, Any]) -> Form:
    scheduling = schedule["scheduling"]
    form = Form(known=_FIELDS)
    form.values = {
        "backupType": schedule["backupType"],
        "compressionType": schedule.get("backupCompressionType", ""),
        "customDestinationId": schedule.get("customDestinationId", ""),
        "retentionTime": str(schedule["retentionTime"]),
        "scheduling.interval": scheduling["interval"],
        "scheduling.minute": ", ".join(map(str, scheduling["minute"])),
        "scheduling.hour": ", ".join(map(str, scheduling.get("hour", ()))),
    }
    form.lists = {
        "scheduling.day": [str(day) for day in scheduling.get("day", ())],
        "additionalDestinations": [
            row["destinationId"] for row in schedule.get("additionalDestinations", ())
        ],
    }
    return form


async def _every_occurrence(at: Place, schedule: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    cursor: str | None = None
    for _ in range(100):
        path = at.path("backup-schedules", schedule, "history")
        answer = await at.calls.ask("GET", path, query={"cursor": cursor, "per_page": 100})
        rows += [
            {
                "at": row["at"],
                "outcome": row["outcome"],
                "count": row["count"],
                "reason": row["reason"],
                "lateSeconds": row.get("lateSeconds"),
                "backup": row.get("backup", {}).get("id"),
                "status": row.get("backup", {}).get("status"),
            }
            for row in answer.data["occurrences"]
        ]
        cursor = answer.cursor
        if cursor is None:
            break
    return rows


@router.post(_SCHEDULE)
async def change(
    request: Request, posted: Posting, project: str, addon: str, schedule: str
) -> Response:
    """Changes the retention, or replaces the schedule by another one, in one transaction."""
    at = place(request, posted.viewer.caller, project, addon)
    form = Form.of(posted.form, _FIELDS)
    shown = await at.calls.get(at.path("backup-schedules", schedule))
    before, after = _body(_form_of(shown)), _body(form)
    path = at.path("backup-schedules", schedule)
    if {**before, "retentionTime": after.get("retentionTime")} == after:
        retention = {"retentionTime": after.get("retentionTime")}
        answer = await at.calls.ask("PATCH", path, retention)
        target = f"{at.url}/schedules/{schedule}"
    else:
        answer = await _replace(at, schedule, after)
        target = f"{at.url}#sch"
    if not answer.ok:
        refused = form.refuse(answer)
        return await _form_page(request, posted.viewer, at, refused, shown, answer.status)
    return RedirectResponse(target, 303)


async def _replace(at: Place, schedule: str, body: dict[str, Any]) -> Answer:
    """Sets the list of the addon's schedules with this one changed."""
    rows: list[dict[str, Any]] = (await at.view())["backupSchedules"]
    bodies = [body if row["id"] == schedule else _body(_form_of(row)) for row in rows]
    return await at.calls.ask("PATCH", at.path(), {"backupSchedules": bodies})


@router.post(f"{_SCHEDULE}/pause")
async def pause(
    request: Request, posted: Posting, project: str, addon: str, schedule: str
) -> Response:
    at = place(request, posted.viewer.caller, project, addon)
    body = without_empty({"reason": str(posted.form.get("reason", "")).strip()})
    answer = await at.calls.ask("POST", at.path("backup-schedules", schedule, "pause"), body)
    return await _done(request, posted.viewer, at, schedule, answer)


@router.post(f"{_SCHEDULE}/resume")
async def resume(
    request: Request, posted: Posting, project: str, addon: str, schedule: str
) -> Response:
    at = place(request, posted.viewer.caller, project, addon)
    answer = await at.calls.ask("POST", at.path("backup-schedules", schedule, "resume"), {})
    return await _done(request, posted.viewer, at, schedule, answer)


@router.post(f"{_SCHEDULE}/delete")
async def delete(
    request: Request, posted: Posting, project: str, addon: str, schedule: str
) -> Response:
    at = place(request, posted.viewer.caller, project, addon)
    answer = await at.calls.ask("DELETE", at.path("backup-schedules", schedule))
    return await _done(request, posted.viewer, at, schedule, answer)


async def _done(
    request: Request, viewer: Viewer, at: Place, schedule: str, answer: Answer
) -> Response:
    """Back to the addon's schedules, or the schedule's page with what the API says."""
    if answer.ok:
        return RedirectResponse(f"{at.url}#sch", 303)
    shown = await at.calls.get(at.path("backup-schedules", schedule))
    refused = _form_of(shown).refuse(answer)
    return await _form_page(request, viewer, at, refused, shown, answer.status)
