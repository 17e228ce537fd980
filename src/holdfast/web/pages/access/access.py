"""Who may do what: users, tokens, sessions; invitations, new tokens, and their ends."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from holdfast.domain.access import Permission
from holdfast.http.auth import check
from holdfast.web.forms import Form, split_list, without_empty
from holdfast.web.frame import frame_of
from holdfast.web.in_process import Answer, Calls, path_of
from holdfast.web.rendering import Page, show
from holdfast.web.session import Posted, Posting, Viewer, Viewing, require_fresh
from holdfast.web.showing import exports
from holdfast.web.sign_in.parts import parts_of

router = APIRouter()

_PAGE = 100
_USER_FIELDS = ("name", "role", "projects", "expiresInDays")


@router.get("/access")
async def access(request: Request, viewer: Viewing) -> Response:
    check(viewer.caller, Permission.TOKENS_READ)
    calls = Calls(request, viewer.caller)
    users = await _all(calls, "users")
    tokens = [token for token in await _all(calls, "tokens") if "revokedAt" not in token]
    sessions = await _all(calls, "sessions")
    roles = (await calls.get("/v1/roles"))["roles"]
    listed = {"users": users, "tokens": tokens, "sessions": sessions, "roles": roles}
    if request.query_params.get("format"):
        name = request.query_params.get("of", "users")
        rows = [
            {name: str(value) for name, value in row.items()} for row in listed.get(name, users)
        ]
        return exports.table(request, name, rows)
    context = {
        **listed,
        "viewer": viewer,
        "may": viewer.caller.may(Permission.TOKENS_MANAGE),
        "single": parts_of(request).single,
    }
    frame = await frame_of(request, viewer)
    return show(request, "access/access.html", Page("Access", "access"), frame, context)


async def _all(calls: Calls, noun: str) -> list[dict[str, Any]]:
    """All rows of a list, page after page."""
    rows: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        query = {"per_page": _PAGE, "cursor": cursor}
        answer = await calls.ask("GET", path_of(noun), query=query)
        rows += answer.data[noun]
        cursor = answer.cursor
        if cursor is None:
            return rows


@router.get("/access/invite")
async def invite_page(request: Request, viewer: Viewing) -> Response:
    return await _form_page(request, viewer, "user", Form(values={"role": "default"}))


@router.get("/access/token")
async def token_page(request: Request, viewer: Viewing) -> Response:
    values = {"role": "default", "expiresInDays": "90"}
    return await _form_page(request, viewer, "token", Form(values=values))


async def _form_page(
    request: Request, viewer: Viewer, kind: str, form: Form, user_id: str = ""
) -> Response:
    """The form of a new user or token, or of a user that is changed."""
    calls = Calls(request, viewer.caller)
    roles = (await calls.get("/v1/roles"))["roles"]
    own = viewer.caller.permissions
    options = [(role["id"], role["name"]) for role in roles if own.issuperset(role["permissions"])]
    titles = {"user": "Invite", "token": "New token", "change": form.value("name")}
    page = Page(titles[kind], "access", (("Access", "/access"),))
    context = {"kind": kind, "form": form, "options": options, "user_id": user_id}
    frame = await frame_of(request, viewer)
    status = 400 if form.message else 200
    return show(request, "access/form.html", page, frame, context, status)


def _body(form: Form) -> dict[str, Any]:
    fields = {"name": form.value("name"), "role": form.value("role")}
    more = {"projects": split_list(form.value("projects"))}
    return without_empty({**fields, **more, "expiresInDays": form.number("expiresInDays")})


@router.post("/access/invite")
async def invite(request: Request, posted: Posting) -> Response:
    form = await _fresh_form(request, posted)
    answer = await _ask(request, posted, "POST", "/v1/users", _body(form))
    if not answer.ok:
        return await _form_page(request, posted.viewer, "user", form.refuse(answer))
    return await _show_once(
        request, posted.viewer, f"{answer.data['name']} is invited", answer.data
    )


@router.post("/access/token")
async def make_token(request: Request, posted: Posting) -> Response:
    form = await _fresh_form(request, posted)
    answer = await _ask(request, posted, "POST", "/v1/tokens", _body(form))
    if not answer.ok:
        return await _form_page(request, posted.viewer, "token", form.refuse(answer))
    return await _show_once(request, posted.viewer, f"Token {answer.data['name']}", answer.data)


async def _show_once(
    request: Request, viewer: Viewer, title: str, document: dict[str, Any]
) -> Response:
    """What is seen this once: a token, or a link that sets a password."""
    secret = document.get("token") or document.get("passwordLink", "")
    context = {"secret": secret, "is_link": "passwordLink" in document, "document": document}
    page = Page(title, "access", (("Access", "/access"),))
    frame = await frame_of(request, viewer)
    return show(request, "access/once.html", page, frame, context)


@router.get("/access/users/{user_id}")
async def user_page(request: Request, viewer: Viewing, user_id: str) -> Response:
    user = await Calls(request, viewer.caller).get(path_of("users", user_id))
    values = {"name": user["name"], "role": user["role"]}
    values |= {"projects": ", ".join(user.get("projects") or [])}
    values |= {"disabled": "on" if "disabledAt" in user else ""}
    return await _form_page(request, viewer, "change", Form(values=values), user_id)


@router.post("/access/users/{user_id}")
async def change_user(request: Request, posted: Posting, user_id: str) -> Response:
    form = await _fresh_form(request, posted)
    body = _body(form)
    body.pop("name", None)
    body |= {"projects": split_list(form.value("projects")), "disabled": form.on("disabled")}
    answer = await _ask(request, posted, "PATCH", path_of("users", user_id), body)
    if not answer.ok:
        form = form.refuse(answer)
        return await _form_page(request, posted.viewer, "change", form, user_id)
    return RedirectResponse("/access", 303)


@router.post("/access/users/{user_id}/reset")
async def reset_user(request: Request, posted: Posting, user_id: str) -> Response:
    form = await _fresh_form(request, posted)
    body = {"secondFactors": form.on("secondFactors")}
    path = path_of("users", user_id, "reset-password")
    answer = await _ask(request, posted, "POST", path, body)
    title = f"A new password for {answer.data['name']}"
    return await _show_once(request, posted.viewer, title, answer.data)


@router.post("/access/users/{user_id}/delete")
async def delete_user(request: Request, posted: Posting, user_id: str) -> Response:
    """Deletes a user whose name was typed."""
    form = await _fresh_form(request, posted)
    user = await Calls(request, posted.viewer.caller).get(path_of("users", user_id))
    if form.value("typed") != user["name"]:
        values = {"name": user["name"], "role": user["role"]}
        again = Form(values=values).fail(f"type {user['name']} to go on; nothing was changed")
        return await _form_page(request, posted.viewer, "change", again, user_id)
    (await _ask(request, posted, "DELETE", path_of("users", user_id), None)).data  # noqa: B018 - raises
    return RedirectResponse("/access", 303)


@router.post("/access/tokens/{token_id}/revoke")
async def revoke_token(request: Request, posted: Posting, token_id: str) -> Response:
    await _fresh_form(request, posted)
    (await _ask(request, posted, "DELETE", path_of("tokens", token_id), None)).data  # noqa: B018
    return RedirectResponse("/access", 303)


@router.post("/access/sessions/{session_id}/end")
async def end_session(request: Request, posted: Posting, session_id: str) -> Response:
    (await _ask(request, posted, "DELETE", path_of("sessions", session_id), None)).data  # noqa: B018
    return RedirectResponse("/access", 303)


async def _fresh_form(request: Request, posted: Posted) -> Form:
    """The form of one who signed in just now: tokens and users need that."""
    require_fresh(request, posted.viewer, posted.form)
    return Form.of(posted.form, _USER_FIELDS)


async def _ask(
    request: Request, posted: Posted, method: str, path: str, body: dict[str, Any] | None
) -> Answer:
    return await Calls(request, posted.viewer.caller).ask(method, path, body)
