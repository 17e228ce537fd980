"""Any moment of an addon: what can be restored, who changed what, and going back to before it."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from holdfast.domain.units import DAY_MS
from holdfast.web.forms import Form, without_empty
from holdfast.web.frame import frame_of
from holdfast.web.pages.addons.addon import Place, alike, place, together
from holdfast.web.rendering import show
from holdfast.web.session import Posting, Viewer, Viewing, require_fresh
from holdfast.web.showing.charts import Span
from holdfast.web.showing.words import ms_of

router = APIRouter()

_MOMENTS = "/p/{project}/{addon}/moments"
_SETTINGS = ("days", "intervalSeconds", "unbounded")
_SEARCH = ("around", "seconds", "table")
_TARGET = ("kind", "value", "exclusive", "line", "target", "typed")
KINDS = (
    ("targetTimestamp", "A time, with its zone"),
    ("targetPosition", "A position of the log"),
    ("beforeTransaction", "Right before a transaction"),
    ("withTransaction", "Right after a transaction"),
    ("targetName", "A named point (PostgreSQL)"),
)
"""Fields of the API's body, in words."""


@dataclass(frozen=True)
class Part:
    """A stretch of the picture, in ms; `reason` of a gap, empty for a window."""

    start: int
    end: int
    reason: str = ""


@dataclass(frozen=True)
class Picture:
    """What an archive can restore, over time. `bases` are instants in ms."""

    span: Span
    parts: list[Part]
    bases: list[int]


def picture_of(archive: dict[str, Any], now: int) -> Picture | None:
    """None where nothing can be restored yet."""
    windows = [Part(*_edges(window)) for window in archive.get("windows", ())]
    if not windows:
        return None
    gaps = [Part(*_edges(gap), gap["reason"]) for gap in archive["gaps"]]
    if "openGap" in archive:
        open_gap = archive["openGap"]
        gaps.append(Part(ms_of(open_gap["startTimestamp"]), now, open_gap["reason"]))
    begin = min(part.start for part in windows)
    length = max(now - begin, DAY_MS // 24)
    span = Span(now - length, now)
    return Picture(span, [*windows, *gaps], [ms_of(base) for base in archive["bases"]])


async def archive_of(at: Place, now: int, *, is_able: bool = True) -> dict[str, Any]:
    """The addon's archive and its picture, for a template; nothing of one that cannot have any."""
    record = (await at.calls.ask("GET", at.path("archive"))).record if is_able else {}
    return {"archive": record, "picture": picture_of(record, now)}


def _edges(stretch: dict[str, Any]) -> tuple[int, int]:
    return ms_of(stretch["startTimestamp"]), ms_of(stretch["endTimestamp"])


@router.get(_MOMENTS)
async def moments(request: Request, viewer: Viewing, project: str, addon: str) -> Response:
    at = place(request, viewer.caller, project, addon)
    return await _page(request, viewer, at, Form(known=_SETTINGS))


async def _page(
    request: Request, viewer: Viewer, at: Place, form: Form, status: int = 200
) -> Response:
    view = await at.view()
    features = await at.features(view["type"])
    frame = await frame_of(request, viewer)
    shown = await archive_of(at, frame.now)
    if not form.values:
        archive = shown["archive"]
        form.values = {name: str(archive[name]) for name in _SETTINGS[:2] if name in archive}
        form.values["unbounded"] = "on" if archive.get("unbounded") else ""
    search = Form(known=_SEARCH)
    search.values["seconds"] = "60"
    context = {
        "at": at,
        "view": view,
        **shown,
        "is_able": bool(features.get("pitr")),
        "form": form,
        "search": search,
    }
    return show(request, "addons/moments.html", at.page("Any moment"), frame, context, status)


@router.post(_MOMENTS)
async def enable(request: Request, posted: Posting, project: str, addon: str) -> Response:
    at = place(request, posted.viewer.caller, project, addon)
    form = Form.of(posted.form, _SETTINGS)
    body = without_empty(
        {
            "days": form.number("days"),
            "intervalSeconds": form.number("intervalSeconds"),
            "unbounded": form.on("unbounded") or None,
        }
    )
    answer = await at.calls.ask("POST", at.path("archive"), body)
    if not answer.ok:
        return await _page(request, posted.viewer, at, form.refuse(answer), answer.status)
    return RedirectResponse(f"{at.url}/moments", 303)


@router.post(f"{_MOMENTS}/off")
async def disable(request: Request, posted: Posting, project: str, addon: str) -> Response:
    at = place(request, posted.viewer.caller, project, addon)
    (await at.calls.ask("DELETE", at.path("archive"))).data  # noqa: B018 - raises what went wrong
    return RedirectResponse(f"{at.url}/moments", 303)


@router.get(f"{_MOMENTS}/find")
async def find(request: Request, viewer: Viewing, project: str, addon: str) -> Response:
    """Commits around an instant, each with the way back to before it."""
    at = place(request, viewer.caller, project, addon)
    form = Form.of(dict(request.query_params), _SEARCH)
    query = {name: form.value(name) or None for name in (*_SEARCH, "cursor")}
    view, answer = await together(
        at.view(), at.calls.ask("GET", at.path("archive", "changes"), query=query)
    )
    if not answer.ok:
        form.refuse(answer)
    context = {
        "at": at,
        "view": view,
        "form": form,
        "listing": answer.record,
        "cursor": answer.cursor,
    }
    frame = await frame_of(request, viewer)
    page = at.page("Find a change", ("Any moment", f"{at.url}/moments"))
    return show(request, "addons/moment_find.html", page, frame, context, answer.status)


@router.get(f"{_MOMENTS}/restore")
async def choose(request: Request, viewer: Viewing, project: str, addon: str) -> Response:
    """A target, and where to; the query may name one that was found."""
    at = place(request, viewer.caller, project, addon)
    form = Form.of(dict(request.query_params), _TARGET)
    return await _target_page(request, viewer, at, form)


async def _target_page(
    request: Request, viewer: Viewer, at: Place, form: Form, status: int = 200
) -> Response:
    view = await at.view()
    addons_alike = await alike(request, viewer.caller, at, view["type"])
    frame = await frame_of(request, viewer)
    context = {
        "at": at,
        "view": view,
        **(await archive_of(at, frame.now)),
        "kinds": KINDS,
        "targets": [(f"{at.project}/{at.addon}", f"{view['name']} itself"), *addons_alike],
        "form": form,
    }
    page = at.page("Restore", ("Any moment", f"{at.url}/moments"))
    return show(request, "addons/moment_restore.html", page, frame, context, status)


@router.post(f"{_MOMENTS}/restore")
async def start(request: Request, posted: Posting, project: str, addon: str) -> Response:
    at = place(request, posted.viewer.caller, project, addon)
    form = Form.of(posted.form, _TARGET)
    into_project, _, into_addon = form.value("target").partition("/")
    into = Place(at.calls, into_project or project, into_addon or addon)
    if form.value("typed") != into.addon:
        problem = f"type {into.addon} to replace its data; nothing was changed"
        refused = form.fail(problem, typed=problem)
        return await _target_page(request, posted.viewer, at, refused, 400)
    require_fresh(request, posted.viewer, posted.form)
    kind = form.value("kind") if form.value("kind") in dict(KINDS) else "targetTimestamp"
    body: dict[str, Any] = {kind: form.value("value")}
    if form.value("line"):
        body["line"] = form.value("line")
    if form.on("exclusive"):
        body["inclusive"] = False
    elsewhere = (into.project, into.addon) != (project, addon)
    query = {"sourceProjectId": project, "sourceAddonId": addon} if elsewhere else {}
    answer = await at.calls.ask("POST", into.path("pitr"), body, query)
    if not answer.ok:
        form.refuse(answer)
        if kind in form.problems:
            form.problems["value"] = form.problems.pop(kind)
        return await _target_page(request, posted.viewer, at, form, answer.status)
    return RedirectResponse(f"{into.url}/restores/{answer.data['restoreId']}", 303)
