"""Roles: what their users and tokens may do. Make one, change it, delete it."""

from itertools import groupby
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from holdfast.domain.access import Permission
from holdfast.domain.errors import NotFound
from holdfast.http.auth import check
from holdfast.web.forms import Form
from holdfast.web.frame import frame_of
from holdfast.web.in_process import Calls, path_of
from holdfast.web.rendering import Page, show
from holdfast.web.session import Posting, Viewer, Viewing, require_fresh

router = APIRouter()

_FIELDS = ("name", "permissions", "typed")


@router.get("/access/roles")
async def new(request: Request, viewer: Viewing) -> Response:
    """The form of a new role; `like` fills in the permissions of another one."""
    check(viewer.caller, Permission.TOKENS_MANAGE)
    form, like = Form(known=_FIELDS), request.query_params.get("like")
    if like:
        form.lists["permissions"] = (await _find(request, viewer, like))["permissions"]
    return await _page(request, viewer, form, None)


async def _find(request: Request, viewer: Viewer, role: str) -> dict[str, Any]:
    rows: list[dict[str, Any]] = (await Calls(request, viewer.caller).get("/v1/roles"))["roles"]
    for row in rows:
        if row["id"] == role:
            return row
    raise NotFound(f"there is no role {role!r}")


def _grouped(permissions: list[str]) -> list[tuple[str, list[tuple[str, str]]]]:
    """`Project > Addons > General > Read` and its like, by all but their last word."""
    groups = groupby(permissions, lambda permission: permission.rpartition(" > ")[0])
    return [
        (group, [(permission, permission.rpartition(" > ")[2]) for permission in members])
        for group, members in groups
    ]


async def _page(
    request: Request, viewer: Viewer, form: Form, role: dict[str, Any] | None, status: int = 200
) -> Response:
    context = {
        "form": form,
        "role": role,
        "groups": _grouped([str(permission) for permission in Permission]),
        "own": viewer.caller.permissions,
    }
    title = role["name"] if role else "New role"
    page = Page(title, "access", (("Access", "/access"),))
    frame = await frame_of(request, viewer)
    return show(request, "access/role.html", page, frame, context, status)


def _body(form: Form) -> dict[str, Any]:
    return {"name": form.value("name"), "permissions": form.all("permissions")}


@router.post("/access/roles")
async def create(request: Request, posted: Posting) -> Response:
    require_fresh(request, posted.viewer, posted.form)
    form = Form.of(posted.form, _FIELDS)
    answer = await Calls(request, posted.viewer.caller).ask("POST", "/v1/roles", _body(form))
    if not answer.ok:
        return await _page(request, posted.viewer, form.refuse(answer), None, answer.status)
    return RedirectResponse("/access#ro", 303)


@router.get("/access/roles/{role}")
async def show_role(request: Request, viewer: Viewing, role: str) -> Response:
    check(viewer.caller, Permission.TOKENS_READ)
    shown = await _find(request, viewer, role)
    return await _page(request, viewer, _form_of(shown), shown)


def _form_of(role: dict[str, Any]) -> Form:
    lists = {"permissions": list(role["permissions"])}
    return Form(values={"name": role["name"]}, known=_FIELDS, lists=lists)


@router.post("/access/roles/{role}")
async def change(request: Request, posted: Posting, role: str) -> Response:
    require_fresh(request, posted.viewer, posted.form)
    shown = await _find(request, posted.viewer, role)
    form = Form.of(posted.form, _FIELDS)
    calls = Calls(request, posted.viewer.caller)
    answer = await calls.ask("PATCH", path_of("roles", role), _body(form))
    if not answer.ok:
        return await _page(request, posted.viewer, form.refuse(answer), shown, answer.status)
    return RedirectResponse("/access#ro", 303)


@router.post("/access/roles/{role}/delete")
async def delete(request: Request, posted: Posting, role: str) -> Response:
    """Deletes a role whose id was typed; tokens that have it are revoked."""
    shown = await _find(request, posted.viewer, role)
    form = _form_of(shown)
    if str(posted.form.get("typed", "")).strip() != role:
        problem = f"type {role} to delete it; nothing was deleted"
        return await _page(request, posted.viewer, form.fail(problem, typed=problem), shown, 400)
    require_fresh(request, posted.viewer, posted.form)
    answer = await Calls(request, posted.viewer.caller).ask("DELETE", path_of("roles", role))
    if not answer.ok:
        return await _page(request, posted.viewer, form.refuse(answer), shown, answer.status)
    return RedirectResponse("/access#ro", 303)
