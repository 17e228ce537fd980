"""One database: when was the last good backup, and how fast is it back?"""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from holdfast.domain.access import Caller
from holdfast.domain.operation import OVER
from holdfast.http.state import of
from holdfast.views.dashboard.timeline import RANGES, Growth, Timeline, growth, timeline
from holdfast.web import live
from holdfast.web.frame import frame_of
from holdfast.web.pages.addons.addon import Place, place, together
from holdfast.web.pages.addons.moments import archive_of
from holdfast.web.rendering import Page, show
from holdfast.web.session import Posting, Viewing
from holdfast.web.showing import charts, exports
from holdfast.web.showing.tiles import TONES, WORDS

router = APIRouter()

_PAGE_SIZE = 25
_EXPORT_PAGES = 200
_DEFAULT_RANGE = "30d"
SHOWN = {
    "dump": {"backupType": "dump"},
    "snapshot": {"backupType": "snapshot"},
    "failed": {"status": ("failed", "not-supported", "aborted")},
}
"""Choices of recovery points, as parameters of the API."""


@router.get("/p/{project}/{addon}")
async def database(request: Request, viewer: Viewing, project: str, addon: str) -> Response:
    at = place(request, viewer.caller, project, addon)
    query = request.query_params
    shown, cursor = SHOWN.get(query.get("show", ""), {}), query.get("cursor")
    if query.get("format"):
        return exports.table(request, f"{addon}-backups", await _every_backup(at, shown))
    view, protection, backups, drills, restores = await together(
        at.view(),
        at.calls.get(at.path("protection")),
        at.calls.ask(
            "GET", at.path("backups"), query={**shown, "cursor": cursor, "per_page": _PAGE_SIZE}
        ),
        at.calls.get(at.path("drills"), per_page=5),
        at.calls.get(at.path("restores"), per_page=5),
    )
    frame = await frame_of(request, viewer)
    features = await at.features(view["type"])
    choice = query.get("range", "") if query.get("range") in RANGES else _DEFAULT_RANGE
    past = await _history(request, viewer.caller, at, frame.now, choice)
    page = Page(
        title=view["name"],
        section="databases",
        crumbs=(("Databases", "/projects"), (project, f"/?project={project}")),
        live=live.topics(at.topic),
    )
    context = {
        "at": at,
        "view": view,
        "protection": protection,
        "backups": backups.data["backups"],
        "cursor": backups.cursor,
        "shown": query.get("show", ""),
        "is_first": cursor is None,
        "drills": drills["drills"],
        "restores": restores["restores"],
        "running": [
            *_running("backup", backups.data["backups"]),
            *_running("drill", drills["drills"]),
            *_running("restore", restores["restores"]),
        ],
        "timeline": past.timeline,
        "growth": past.growth,
        "span": charts.Span(past.timeline.start, past.timeline.end),
        "choice": choice,
        "ranges": RANGES,
        "tones": TONES,
        "state_words": WORDS,
        "features": features,
        **(await archive_of(at, frame.now, is_able=bool(features.get("pitr")))),
    }
    return show(request, "addons/database.html", page, frame, context)


@dataclass(frozen=True)
class _Past:
    timeline: Timeline
    growth: Growth


async def _history(request: Request, caller: Caller, at: Place, now: int, choice: str) -> _Past:
    api = of(request)

    def read() -> _Past:
        with api.catalog.read() as session:
            addon_pk = at.row(session, caller).pk
            return _Past(timeline(session, addon_pk, now, choice), growth(session, addon_pk, now))

    return await api.turns.run(read)


def _running(kind: str, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that have not ended, with what they are."""
    return [{**item, "kind": kind} for item in items if item["status"] not in OVER]


async def _every_backup(at: Place, shown: dict[str, Any]) -> list[dict[str, object]]:
    """All rows of the table, page by page."""
    rows: list[dict[str, object]] = []
    cursor: str | None = None
    for _ in range(_EXPORT_PAGES):
        answer = await at.calls.ask(
            "GET", at.path("backups"), query={**shown, "cursor": cursor, "per_page": 100}
        )
        rows += [_exported(backup) for backup in answer.data["backups"]]
        cursor = answer.cursor
        if cursor is None:
            break
    return rows


def _exported(backup: dict[str, Any]) -> dict[str, object]:
    return {
        "id": backup["id"],
        "uid": backup["uid"],
        "status": backup["status"],
        "type": backup["backupType"],
        "createdAt": backup["createdAt"],
        "completedAt": backup.get("completedAt"),
        "bytes": int(backup["config"]["size"]),
        "copies": " ".join(copy.get("destinationId", "platform") for copy in backup["copies"]),
        "expiresAt": backup.get("expiresAt"),
        "retained": backup["retained"],
        "reason": backup.get("reason"),
    }


@router.post("/p/{project}/{addon}/drills")
async def drill(request: Request, posted: Posting, project: str, addon: str) -> Response:
    at = place(request, posted.viewer.caller, project, addon)
    backup = str(posted.form.get("backupId", ""))
    body: dict[str, object] = {"backupId": backup} if backup else {}
    started = (await at.calls.ask("POST", at.path("drills"), body)).data["drillId"]
    return RedirectResponse(f"{at.url}/drills/{started}", 303)


@router.post("/p/{project}/{addon}/power/{verb}")
async def power(request: Request, posted: Posting, project: str, addon: str, verb: str) -> Response:
    """Pauses, resumes or restarts the addon."""
    at = place(request, posted.viewer.caller, project, addon)
    (await at.calls.ask("POST", at.path(verb if verb in _POWER else "unknown"), {})).data  # noqa: B018
    return RedirectResponse(at.url, 303)


_POWER = ("pause", "resume", "restart")
