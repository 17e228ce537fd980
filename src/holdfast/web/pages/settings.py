"""Settings: is the machine well, which processes live, and what was set, and where."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from holdfast.catalog.alarms import observations
from holdfast.catalog.work import workers
from holdfast.conformance.machine import Finding, examine
from holdfast.domain.access import Permission
from holdfast.http.auth import check, require_all_projects
from holdfast.http.state import Api, of
from holdfast.kit.clock import rfc3339
from holdfast.web.forms import Form
from holdfast.web.frame import frame_of
from holdfast.web.in_process import Calls
from holdfast.web.pages.addons.settings import OBJECTIVES, objective_of
from holdfast.web.rendering import Page, show
from holdfast.web.session import Posting, Viewer, Viewing
from holdfast.web.showing import exports

router = APIRouter()

_PLAIN = re.compile(r"[0-9]*[.]?[0-9]+|true|false|True|False|[A-Z]+|json|text|auto|dbos|table")
_SILENT_MS = 15_000


@dataclass(frozen=True)
class SettingLine:
    """One setting in force. `source` is default, environment or command line; a secret's value is
    left out."""

    name: str
    value: str
    source: str
    description: str


@dataclass(frozen=True)
class Process:
    """A process that has signed on. `problem`: it has not been heard of for a while."""

    name: str
    node: str
    does: str
    silent_ms: int

    @property
    def is_silent(self) -> bool:
        return self.silent_ms > _SILENT_MS


@router.get("/settings")
async def settings(request: Request, viewer: Viewing) -> Response:
    return await _page(request, viewer, Form(known=OBJECTIVES))


async def _page(request: Request, viewer: Viewer, form: Form, status: int = 200) -> Response:
    api, query = of(request), request.query_params
    lines: Sequence[SettingLine] = request.app.state.settings
    if query.get("format"):
        _require_operator(viewer)
        return exports.table(request, "settings", [asdict(line) for line in lines])
    frame = await frame_of(request, viewer)
    calls = Calls(request, viewer.caller)
    objective = await calls.ask("GET", "/v1/objective")
    for name in OBJECTIVES:
        form.values.setdefault(name, str(objective.record.get(name, "")))
    context = {
        "operator": frame.sees_all,
        "findings": await run_in_threadpool(_examine, api) if frame.sees_all else [],
        "processes": await api.turns.run(lambda: _processes(api)) if frame.sees_all else [],
        "settings": lines if frame.sees_all else [],
        "about": await calls.get("/v1/about"),
        "form": form,
    }
    page = Page("Settings", "settings")
    return show(request, "settings.html", page, frame, context, status)


def _require_operator(viewer: Viewer) -> None:
    check(viewer.caller, Permission.TEAM_READ)
    require_all_projects(viewer.caller)


def _examine(api: Api) -> list[Finding]:
    return examine(api.data_dir, api.clock, [api.engines(kind) for kind in api.engine_kinds])


def _processes(api: Api) -> list[Process]:
    with api.catalog.read() as session:
        rows = [
            Process(identifier, node, "worker: backups, restores, drills", silent_ms)
            for identifier, node, silent_ms in workers.silences(session)
        ]
        rows += [
            Process(row.observer, "", "scheduler", max(api.clock.now() - row.seen, 0))
            for row in observations.current(session)
            if row.name == observations.SCHEDULER
        ]
    return rows


@router.post("/settings/objective")
async def put_objective(request: Request, posted: Posting) -> Response:
    form = Form.of(posted.form, OBJECTIVES)
    calls = Calls(request, posted.viewer.caller)
    answer = await calls.ask("PUT", "/v1/objective", objective_of(form))
    if not answer.ok:
        return await _page(request, posted.viewer, form.refuse(answer), answer.status)
    return RedirectResponse("/settings", 303)


def _without_names(line: SettingLine) -> SettingLine:
    """The setting for others: of what was set, only numbers, names of levels and the like."""
    is_plain = line.source == "default" or _PLAIN.fullmatch(line.value)
    return line if is_plain else replace(line, value="(set)")


@router.get("/settings/support.json")
async def support_bundle(request: Request, viewer: Viewing) -> Response:
    """What someone who helps needs to know, without secrets, names of databases or addresses."""
    _require_operator(viewer)
    api, calls = of(request), Calls(request, viewer.caller)
    protection = await calls.get("/v1/protection")
    lines: Sequence[SettingLine] = request.app.state.settings
    document: dict[str, Any] = {
        "at": rfc3339(api.clock.now()),
        "about": await calls.get("/v1/about"),
        "catalogue": "sqlite" if api.catalog.is_sqlite else "postgresql",
        "doctor": [asdict(finding) for finding in await run_in_threadpool(_examine, api)],
        "processes": [asdict(row) for row in await api.turns.run(lambda: _processes(api))],
        "settings": [asdict(_without_names(line)) for line in lines],
        "databases": protection["counts"],
    }
    headers = {"content-disposition": 'attachment; filename="holdfast-support.json"'}
    return Response(json.dumps(document, indent=1), headers=headers, media_type="application/json")
