"""Projects: a list of them with what they hold; add, rename, delete, and what was promised."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from holdfast.domain.protection import State
from holdfast.http.state import of
from holdfast.views.dashboard import fleet
from holdfast.web.forms import Form, without_empty
from holdfast.web.frame import frame_of
from holdfast.web.in_process import Calls, path_of
from holdfast.web.live import hub_of
from holdfast.web.pages.addons.settings import OBJECTIVES, objective_of
from holdfast.web.rendering import Page, show
from holdfast.web.session import Posting, Viewer, Viewing, require_fresh
from holdfast.web.showing import exports
from holdfast.web.showing.tiles import TONES, WORDS

router = APIRouter()

_FIELDS = ("name", "description")
_TRAIL = (("Databases", "/projects"),)


@router.get("/projects")
async def projects(request: Request, viewer: Viewing) -> Response:
    return await _list_page(request, viewer, Form(known=_FIELDS))


async def _list_page(request: Request, viewer: Viewer, form: Form, status: int = 200) -> Response:
    calls, api = Calls(request, viewer.caller), of(request)
    cursor = request.query_params.get("cursor")
    answer = await calls.ask("GET", "/v1/projects", query={"per_page": 100, "cursor": cursor})
    rows: list[dict[str, Any]] = answer.data["projects"]
    frame = await frame_of(request, viewer)

    hub, edition = hub_of(request), hub_of(request).edition()

    def read() -> dict[str, Counter[State]]:
        with api.catalog.read() as session:
            groups = fleet.by_project(hub.tiles.of(session, viewer.caller, edition))
        return {key: Counter(tile.state for tile in tiles) for key, tiles in groups.items()}

    counts = await api.turns.run(read)
    if request.query_params.get("format"):
        return exports.table(request, "projects", [_row(row, counts) for row in rows])
    context = {
        "projects": rows,
        "cursor": answer.cursor,
        "counts": counts,
        "form": form,
        "tones": TONES,
        "state_words": WORDS,
    }
    page = Page("Databases", "databases")
    return show(request, "projects.html", page, frame, context, status)


def _row(project: dict[str, Any], counts: Mapping[str, Counter[State]]) -> dict[str, object]:
    by_state = counts.get(project["id"], Counter[State]())
    return {
        "id": project["id"],
        "name": project["name"],
        "description": project.get("description"),
        **{str(state): by_state[state] for state in State},
    }


@router.post("/projects")
async def create(request: Request, posted: Posting) -> Response:
    calls = Calls(request, posted.viewer.caller)
    form = Form.of(posted.form, _FIELDS)
    body = without_empty({name: form.value(name) for name in _FIELDS})
    answer = await calls.ask("POST", "/v1/projects", body)
    if not answer.ok:
        return await _list_page(request, posted.viewer, form.refuse(answer), answer.status)
    return RedirectResponse(f"/projects/{answer.data['id']}", 303)


@router.get("/projects/{project}")
async def show_project(request: Request, viewer: Viewing, project: str) -> Response:
    calls = Calls(request, viewer.caller)
    view = await calls.get(path_of("projects", project))
    form = Form(known=(*_FIELDS, *OBJECTIVES, "typed"))
    form.values = {"name": view["name"], "description": view.get("description", "")}
    return await _project_page(request, viewer, project, form)


async def _project_page(
    request: Request, viewer: Viewer, project: str, form: Form, status: int = 200
) -> Response:
    calls = Calls(request, viewer.caller)
    view = await calls.get(path_of("projects", project))
    objective = await calls.ask("GET", path_of("projects", project, "objective"))
    for name in OBJECTIVES:
        form.values.setdefault(name, str(objective.record.get(name, "")))
    frame = await frame_of(request, viewer)
    page = Page(view["name"], "databases", _TRAIL)
    context = {"project": view, "form": form}
    return show(request, "project.html", page, frame, context, status)


@router.post("/projects/{project}")
async def change(request: Request, posted: Posting, project: str) -> Response:
    calls = Calls(request, posted.viewer.caller)
    form = Form.of(posted.form, _FIELDS)
    body = {"name": form.value("name"), "description": form.value("description")}
    answer = await calls.ask("PATCH", path_of("projects", project), body)
    if not answer.ok:
        refused = form.refuse(answer)
        return await _project_page(request, posted.viewer, project, refused, answer.status)
    return RedirectResponse(f"/projects/{project}", 303)


@router.post("/projects/{project}/objective")
async def put_objective(request: Request, posted: Posting, project: str) -> Response:
    calls = Calls(request, posted.viewer.caller)
    form = Form.of(posted.form, OBJECTIVES)
    path = path_of("projects", project, "objective")
    answer = await calls.ask("PUT", path, objective_of(form))
    if not answer.ok:
        refused = form.refuse(answer)
        return await _project_page(request, posted.viewer, project, refused, answer.status)
    return RedirectResponse(f"/projects/{project}", 303)


@router.post("/projects/{project}/delete")
async def delete(request: Request, posted: Posting, project: str) -> Response:
    calls = Calls(request, posted.viewer.caller)
    form = Form.of(posted.form, ("typed",))
    if form.value("typed") != project:
        problem = f"type {project} to delete it; nothing was changed"
        refused = form.fail(problem, typed=problem)
        return await _project_page(request, posted.viewer, project, refused, 400)
    require_fresh(request, posted.viewer, posted.form)
    query = {"delete_child_objects": form.on("children")}
    answer = await calls.ask("DELETE", path_of("projects", project), query=query)
    if not answer.ok:
        refused = form.refuse(answer)
        return await _project_page(request, posted.viewer, project, refused, answer.status)
    return RedirectResponse("/projects", 303)
