"""Activity: who did what. Changes through the API, and Holdfast's own acts, in one stream."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from holdfast.domain.access import Permission
from holdfast.http.auth import check
from holdfast.http.state import of
from holdfast.kit.clock import rfc3339
from holdfast.views.dashboard import activity as views
from holdfast.views.dashboard.activity import Act
from holdfast.web.frame import frame_of
from holdfast.web.in_process import Calls
from holdfast.web.rendering import Page, show
from holdfast.web.session import Viewer, Viewing
from holdfast.web.showing import exports
from holdfast.web.showing.words import ms_of

router = APIRouter()

_ROWS = 60
_EXPORTED = 10_000
_CHANGES, _OWN = "changes", "holdfast"


@router.get("/activity")
async def activity(request: Request, viewer: Viewing) -> Response:
    check(viewer.caller, Permission.AUDIT_READ)
    query = request.query_params
    frame = await frame_of(request, viewer)
    before = int(query["before"]) if query.get("before", "").isdigit() else frame.now + 1
    limit = _EXPORTED if query.get("format") else _ROWS
    rows = await _rows(request, viewer, before, limit)
    if query.get("format"):
        return exports.table(request, "activity", [_exported(row) for row in rows])
    shown = rows[:_ROWS]
    context = {
        "rows": shown,
        "older": shown[-1]["at"] if len(rows) >= _ROWS else None,
        "show": query.get("show", ""),
        "filters": {name: query.get(name, "") for name in ("actor", "project", "kind")},
        "is_first": "before" not in query,
    }
    return show(request, "activity.html", Page("Activity", "activity"), frame, context)


async def _rows(request: Request, viewer: Viewer, before: int, limit: int) -> list[dict[str, Any]]:
    """Both streams from an instant back, merged; as many as the limit."""
    query = request.query_params
    filtered = any(query.get(name) for name in ("actor", "project", "kind"))
    rows: list[dict[str, Any]] = []
    if query.get("show") != _OWN:
        rows += await _changes(request, viewer, before, limit)
    if query.get("show") != _CHANGES and not filtered:
        rows += [_act(act) for act in await _acts(request, viewer, before, limit)]
    return sorted(rows, key=lambda row: -row["at"])[:limit]


async def _changes(
    request: Request, viewer: Viewer, before: int, limit: int
) -> list[dict[str, Any]]:
    calls, query = Calls(request, viewer.caller), request.query_params
    rows: list[dict[str, Any]] = []
    cursor: str | None = None
    while len(rows) < limit:
        answer = await calls.ask(
            "GET",
            "/v1/audit-log",
            query={
                "endTime": rfc3339(before),
                "actor": query.get("actor") or None,
                "projectId": query.get("project") or None,
                "kind": query.get("kind") or None,
                "cursor": cursor,
                "per_page": min(limit, 100),
            },
        )
        rows += [_change(entry) for entry in answer.data["entries"]]
        cursor = answer.cursor
        if cursor is None:
            break
    return rows


async def _acts(request: Request, viewer: Viewer, before: int, limit: int) -> list[Act]:
    api = of(request)

    def read() -> list[Act]:
        with api.catalog.read() as session:
            return list(views.acts(session, viewer.caller, before, limit))

    return await api.turns.run(read)


def _change(entry: dict[str, Any]) -> dict[str, Any]:
    about = entry["object"]
    project, addon = about.get("project"), about.get("addon")
    return {
        "at": ms_of(entry["at"]),
        "who": entry["actor"]["name"],
        "role": entry["actor"]["role"],
        "text": f"{entry['action'].replace('_', ' ')}: {about['kind']} {about['id']}",
        "project": project,
        "addon": addon,
        "href": f"/p/{project}/{addon}" if project and addon else "",
        "tone": "",
        "details": views.differences(entry.get("before"), entry.get("after")),
        "address": entry["address"],
        "request": entry["requestId"],
    }


def _act(act: Act) -> dict[str, Any]:
    return {
        "at": act.at,
        "who": "Holdfast",
        "role": "",
        "text": f"{act.text}: {act.status}",
        "project": act.project_id,
        "addon": act.addon_id,
        "href": f"/p/{act.project_id}/{act.addon_id}",
        "tone": {"completed": "good", "failed": "bad", "not-supported": "bad"}.get(
            act.status, "none"
        ),
        "details": [act.details] if act.details else [],
        "address": "",
        "request": "",
        "took": act.took_ms,
    }


def _exported(row: dict[str, Any]) -> dict[str, object]:
    return {
        "at": exports.instant(row["at"]),
        "who": row["who"],
        "role": row["role"],
        "what": row["text"],
        "project": row["project"],
        "database": row["addon"],
        "details": "; ".join(row["details"]),
        "address": row["address"],
        "request": row["request"],
    }
