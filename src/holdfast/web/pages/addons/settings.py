"""What an addon is: edit it, say what was promised, how to connect, delete it."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from holdfast.web.forms import Form, split_list, without_empty
from holdfast.web.frame import frame_of
from holdfast.web.pages.addons.addon import Place, place, together
from holdfast.web.rendering import show
from holdfast.web.session import Posting, Viewer, Viewing, require_fresh

router = APIRouter()

_AT = "/p/{project}/{addon}"
_FIELDS = ("description", "tags", "connectionString", "version")
OBJECTIVES = ("maxAgeMinutes", "maxRestoreMinutes", "provenWithinDays", "places")


@router.get(f"{_AT}/edit")
async def edit(request: Request, viewer: Viewing, project: str, addon: str) -> Response:
    at = place(request, viewer.caller, project, addon)
    return await _edit_page(request, viewer, at, Form(known=_FIELDS))


async def _edit_page(
    request: Request, viewer: Viewer, at: Place, form: Form, status: int = 200
) -> Response:
    view, version = await together(at.view(), at.calls.get(at.path("version")))
    if not form.values:
        form.values = {
            "description": view.get("description", ""),
            "tags": ", ".join(view["tags"]),
        }
    context = {"at": at, "view": view, "form": form, "version_info": version}
    frame = await frame_of(request, viewer)
    return show(request, "addons/edit.html", at.page("Edit"), frame, context, status)


@router.post(f"{_AT}/edit")
async def change(request: Request, posted: Posting, project: str, addon: str) -> Response:
    at = place(request, posted.viewer.caller, project, addon)
    form = Form.of(posted.form, _FIELDS)
    body: dict[str, Any] = {
        "description": form.value("description"),
        "tags": split_list(form.value("tags")),
    }
    if form.value("connectionString"):
        body["connectionString"] = form.value("connectionString")
    answer = await at.calls.ask("PATCH", at.path(), body)
    if not answer.ok:
        return await _edit_page(request, posted.viewer, at, form.refuse(answer), answer.status)
    return RedirectResponse(at.url, 303)


@router.post(f"{_AT}/version")
async def upgrade(request: Request, posted: Posting, project: str, addon: str) -> Response:
    at = place(request, posted.viewer.caller, project, addon)
    form = Form.of(posted.form, _FIELDS)
    answer = await at.calls.ask("POST", at.path("version"), {"version": form.value("version")})
    if not answer.ok:
        return await _edit_page(request, posted.viewer, at, form.refuse(answer), answer.status)
    return RedirectResponse(at.url, 303)


@router.get(f"{_AT}/connect")
async def connect(request: Request, viewer: Viewing, project: str, addon: str) -> Response:
    """Names what connects to it, without secrets; those are shown by the command line."""
    at = place(request, viewer.caller, project, addon)
    view = await at.view()
    frame = await frame_of(request, viewer)
    context = {"at": at, "view": view}
    return show(request, "addons/connect.html", at.page("How to connect"), frame, context)


@router.get(f"{_AT}/objective")
async def objective(request: Request, viewer: Viewing, project: str, addon: str) -> Response:
    at = place(request, viewer.caller, project, addon)
    form = Form(known=OBJECTIVES)
    chosen = await at.calls.get(at.path("objective"))
    form.values = {name: str(value) for name, value in chosen.items()}
    return await _objective_page(request, viewer, at, form)


async def _objective_page(
    request: Request, viewer: Viewer, at: Place, form: Form, status: int = 200
) -> Response:
    view, protection = await together(at.view(), at.calls.get(at.path("protection")))
    context = {
        "at": at,
        "view": view,
        "protection": protection,
        "form": form,
        "action": f"{at.url}/objective",
        "heading": f"What was promised for {view['name']}",
        "back": at.url,
    }
    frame = await frame_of(request, viewer)
    return show(request, "objective.html", at.page("Objective"), frame, context, status)


@router.post(f"{_AT}/objective")
async def put_objective(request: Request, posted: Posting, project: str, addon: str) -> Response:
    at = place(request, posted.viewer.caller, project, addon)
    form = Form.of(posted.form, OBJECTIVES)
    answer = await at.calls.ask("PUT", at.path("objective"), objective_of(form))
    if not answer.ok:
        return await _objective_page(request, posted.viewer, at, form.refuse(answer), answer.status)
    return RedirectResponse(at.url, 303)


def objective_of(form: Form) -> dict[str, Any]:
    """The API's objective of the form's fields; what is empty is left to the wider one."""
    return without_empty({name: form.number(name) for name in OBJECTIVES})


@router.get(f"{_AT}/delete")
async def ask_to_delete(request: Request, viewer: Viewing, project: str, addon: str) -> Response:
    at = place(request, viewer.caller, project, addon)
    return await _delete_page(request, viewer, at, Form(known=("typed",)))


async def _delete_page(
    request: Request, viewer: Viewer, at: Place, form: Form, status: int = 200
) -> Response:
    view, protection = await together(at.view(), at.calls.get(at.path("protection")))
    context = {"at": at, "view": view, "protection": protection, "form": form}
    frame = await frame_of(request, viewer)
    return show(request, "addons/delete.html", at.page("Delete"), frame, context, status)


@router.post(f"{_AT}/delete")
async def delete(request: Request, posted: Posting, project: str, addon: str) -> Response:
    return await _destroy(request, posted.viewer, posted.form, project, addon, "delete")


@router.post(f"{_AT}/reset")
async def reset(request: Request, posted: Posting, project: str, addon: str) -> Response:
    """Wipes all data of a managed addon; how to connect stays."""
    return await _destroy(request, posted.viewer, posted.form, project, addon, "reset")


async def _destroy(
    request: Request, viewer: Viewer, fields: Any, project: str, addon: str, verb: str
) -> Response:
    at = place(request, viewer.caller, project, addon)
    form = Form.of(fields, ("typed",))
    if form.value("typed") != addon:
        problem = f"type {addon} to {verb} it; nothing was changed"
        return await _delete_page(request, viewer, at, form.fail(problem, typed=problem), 400)
    require_fresh(request, viewer, fields)
    method, path = ("DELETE", at.path()) if verb == "delete" else ("POST", at.path("reset"))
    answer = await at.calls.ask(method, path, None if verb == "delete" else {})
    if not answer.ok:
        return await _delete_page(request, viewer, at, form.refuse(answer), answer.status)
    return RedirectResponse("/" if verb == "delete" else at.url, 303)
