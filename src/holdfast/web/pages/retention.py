"""Retention: what goes, when and why; what another retention would mean; deletions by state."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from holdfast.catalog.database.page import Page, Slice
from holdfast.domain.access import Permission
from holdfast.domain.units import DAY_MS
from holdfast.http.auth import check
from holdfast.http.state import of
from holdfast.views.dashboard.retention_by_addon import AddonTally, by_addon
from holdfast.views.dashboard.retention_preview import Preview, preview, retentions
from holdfast.web import rendering
from holdfast.web.forms import Form
from holdfast.web.frame import frame_of
from holdfast.web.in_process import Calls
from holdfast.web.pages.addons.addon import Place, place
from holdfast.web.rendering import show
from holdfast.web.session import Posting, Viewer, Viewing
from holdfast.web.showing import exports
from holdfast.web.showing.words import ms_of

router = APIRouter()

_DAYS = 14
_ADDONS = 25
_FIELDS = ("old", "new", "share", "reason")


@router.get("/retention")
async def retention(request: Request, viewer: Viewing) -> Response:
    return await _page(request, viewer, Form.of(dict(request.query_params), _FIELDS))


async def _page(request: Request, viewer: Viewer, form: Form, status: int = 200) -> Response:
    calls, query = Calls(request, viewer.caller), request.query_params
    project, _, addon = query.get("addon", "").partition("/")
    shown = query.get("show", "open")
    cursor = query.get("cursor")
    deletions = await calls.ask(
        "GET",
        "/v1/retention/deletions",
        query={"open": True if shown == "open" else None, "cursor": cursor, "per_page": 50},
    )
    rows = deletions.data["deletions"]
    if query.get("format"):
        return exports.table(request, "deletions", [_row(row) for row in rows])
    frame = await frame_of(request, viewer)
    at = place(request, viewer.caller, project, addon) if addon else None
    plan: list[dict[str, Any]] = []
    what_if = _WhatIf([], None)
    if at is not None:
        plan = (await calls.get(at.path("retention-plan")))["copies"]
        what_if = await _what_if(request, viewer, at, form)
    numbers = await _by_addon(request, viewer, frame.now, at)
    hold = await calls.get("/v1/retention/hold")
    totals = await calls.ask("GET", "/v1/retention/plan/totals") if query.get("totals") else None
    context: dict[str, Any] = {
        "form": form,
        "at": at,
        "plan": plan,
        "days": _days(plan, frame.now),
        "what_if": what_if,
        "by_addon": numbers.items,
        "plan_cursor": numbers.cursor,
        "hold": hold,
        "totals": totals.record if totals is not None else None,
        "deletions": rows if shown == "open" else [row for row in rows if row["state"] == shown],
        "shown": shown,
        "cursor": deletions.cursor,
    }
    page = rendering.Page("Retention", "retention")
    return show(request, "retention.html", page, frame, context, status)


def _row(row: dict[str, Any]) -> dict[str, object]:
    names = ("id", "state", "projectId", "addonId", "backupId", "destinationId", "reason")
    times = ("createdAt", "dueAt", "begunAt", "doneAt", "calledOff", "tries", "lastError")
    return {name: row.get(name) for name in (*names, *times)}


async def _by_addon(
    request: Request, viewer: Viewer, now: int, at: Place | None
) -> Slice[AddonTally]:
    """Of all addons; none on the page of one."""
    check(viewer.caller, Permission.ADDON_READ)
    if at is not None:
        return Slice([], None)
    api, page = of(request), Page(_ADDONS, cursor=request.query_params.get("plan"))

    def read() -> Slice[AddonTally]:
        with api.catalog.read() as session:
            return by_addon(session, viewer.caller, page, now)

    return await api.turns.run(read)


@dataclass(frozen=True)
class _WhatIf:
    retentions: list[int]
    preview: Preview | None


async def _what_if(request: Request, viewer: Viewer, at: Place, form: Form) -> _WhatIf:
    check(viewer.caller, Permission.ADDON_READ)
    api = of(request)
    old, new = form.number("old"), form.number("new")

    def read() -> _WhatIf:
        with api.catalog.read() as session:
            addon_pk = at.row(session, viewer.caller).pk
            choices = list(retentions(session, addon_pk))
            if not isinstance(old, int) or not isinstance(new, int) or not 1 <= new <= 3650:
                return _WhatIf(choices, None)
            now = api.clock.now()
            return _WhatIf(choices, preview(session, addon_pk, (old, new), now, api.policy))

    return await api.turns.run(read)


def _days(plan: list[dict[str, Any]], now: int) -> list[tuple[int, int, int]]:
    """The start of each of the next days, and how many copies go then, with their bytes."""
    today = now - now % DAY_MS
    counts: Counter[int] = Counter()
    sizes: Counter[int] = Counter()
    for copy in plan:
        if "deletesAt" in copy:
            number = (max(ms_of(copy["deletesAt"]), now) - today) // DAY_MS
            counts[number] += 1
            sizes[number] += int(copy["size"])
    return [(today + n * DAY_MS, counts[n], sizes[n]) for n in range(_DAYS)]


@router.post("/retention/hold")
async def hold_all(request: Request, posted: Posting) -> Response:
    """Stops all deletions of retention."""
    calls, form = Calls(request, posted.viewer.caller), Form.of(posted.form, _FIELDS)
    answer = await calls.ask("PUT", "/v1/retention/hold", {"reason": form.value("reason")})
    if not answer.ok:
        return await _page(request, posted.viewer, form.refuse(answer), answer.status)
    return RedirectResponse("/retention", 303)


@router.post("/retention/release")
async def release_all(request: Request, posted: Posting) -> Response:
    """Lets retention go on, after the grace period."""
    answer = await Calls(request, posted.viewer.caller).ask("DELETE", "/v1/retention/hold")
    if not answer.ok:
        refused = Form(known=_FIELDS).refuse(answer)
        return await _page(request, posted.viewer, refused, answer.status)
    return RedirectResponse("/retention", 303)


@router.post("/retention/prune")
async def prune(request: Request, posted: Posting) -> Response:
    """Marks expired backups of one addon now; the grace period still applies."""
    project, _, addon = str(posted.form.get("addon", "")).partition("/")
    at = place(request, posted.viewer.caller, project, addon)
    answer = await at.calls.ask("POST", at.path("prune"), {})
    if not answer.ok:
        refused = Form(known=_FIELDS).refuse(answer)
        return await _page(request, posted.viewer, refused, answer.status)
    return RedirectResponse(f"/retention?addon={project}/{addon}", 303)
