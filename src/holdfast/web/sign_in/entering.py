"""Opens the session of a browser whose user showed who they are, and sends it on its way."""

from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from holdfast.catalog.access import users, web_sessions
from holdfast.catalog.schema import User
from holdfast.domain.access import Caller
from holdfast.domain.errors import Unauthenticated
from holdfast.http.arrival import address_of
from holdfast.http.state import of
from holdfast.http.writing import Writer
from holdfast.kit.seal import Secret
from holdfast.usecases.access import sessions
from holdfast.usecases.access.sessions import Visit
from holdfast.usecases.context import Context
from holdfast.views.alarms.alarms import OpenAlarms
from holdfast.web.frame import Frame
from holdfast.web.rendering import Page, show
from holdfast.web.session import (
    Viewer,
    cookie_in,
    csrf_of,
    require_private,
    set_cookie,
)
from holdfast.web.sign_in.going_on import GoingOn
from holdfast.web.sign_in.parts import parts_of


@dataclass(frozen=True)
class Entry:
    """A sign-in that succeeded: as whom, and how. `user` None: with an API token."""

    caller: Caller
    user: User | None
    method: str
    id_token: Secret | None = None


def door_frame(request: Request, viewer: Viewer | None = None) -> Frame:
    """The frame of pages that are seen before signing in."""
    return Frame(viewer, of(request).clock.now(), OpenAlarms(0, None))


def show_door(
    request: Request, template: str, title: str, status: int = 200, **context: Any
) -> Response:
    """A page outside of the dashboard's frame."""
    viewer: Viewer | None = context.pop("viewer", None)
    live: str = context.pop("live", "")
    host = of(request).public_url.partition("://")[2] or request.url.netloc
    everything = {"host": host, "lead": "", "wide": False, **context}
    return show(
        request, template, Page(title, live=live), door_frame(request, viewer), everything, status
    )


def show_onward(
    request: Request, path: str, title: str = "One moment", viewer: Viewer | None = None
) -> Response:
    """A page that goes on by itself: what another site led to carries no strict cookies, and a
    form may not lead to another site."""
    return show_door(request, "access/onward.html", title, path=path, viewer=viewer)


async def enter(
    request: Request, entry: Entry, going_on: GoingOn, *, onward: bool = False
) -> Response:
    """Opens a session, ends the one before, and goes on. Raises Invalid over plain http."""
    require_private(request)
    program = request.headers.get("user-agent", "")
    visit = Visit(entry.method, address_of(request), program)
    previous = cookie_in(request.scope)
    api = of(request)

    def open_session(context: Context) -> tuple[Secret, User | None]:
        user = users.of_pk(context.session, entry.user.pk) if entry.user is not None else None
        if entry.user is not None and (user is None or not user.may_sign_in(context.now)):
            raise Unauthenticated("this user may not sign in")
        if previous:
            row = web_sessions.of_digest(context.session, web_sessions.digest(Secret(previous)))
            if row is not None:
                sessions.end(context, row)
        return sessions.open_session(context, user, visit, entry.id_token), user

    writer = Writer(api, request)
    cookie, user = await run_in_threadpool(writer.run, entry.caller, open_session)
    viewer = Viewer(entry.caller, "", csrf_of(cookie.reveal()), fresh=True)
    response = _next_page(request, going_on, viewer, onward=onward)
    set_cookie(request, response, cookie)
    if user is not None:
        parts_of(request).devices.mark(request, response, user, api.clock.now())
    return response


def _next_page(request: Request, going_on: GoingOn, viewer: Viewer, *, onward: bool) -> Response:
    if going_on.is_form:
        title = "Your form is still here"
        return show_door(
            request, "access/resume.html", title, going_on=going_on, viewer=viewer, wide=True
        )
    if onward:
        return show_onward(request, going_on.path, viewer=viewer)
    return RedirectResponse(going_on.path, 303)
