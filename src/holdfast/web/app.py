"""Builds the dashboard's application: its pages, files, limits, headers and pages of errors."""

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp

from holdfast.http.arrival import Arrival
from holdfast.http.limits.rates import Limits
from holdfast.http.state import Api
from holdfast.web import live, problems
from holdfast.web.pages import (
    activity,
    alarms,
    channels,
    find,
    monitors,
    overview,
    places,
    projects,
    proof,
    retention,
    stores,
)
from holdfast.web.pages import settings as machine
from holdfast.web.pages.access import (
    access,
    account,
    cli_login,
    needed,
    passkeys,
    roles,
    sign_in,
    single_sign_on,
    welcome,
)
from holdfast.web.pages.addons import (
    backup,
    database,
    drills,
    imports,
    moments,
    new,
    restore,
    running_restore,
    schedules,
    settings,
    speed,
    uploads,
)
from holdfast.web.pages.settings import SettingLine
from holdfast.web.pages.setup import setup
from holdfast.web.rendering import THEME, Templates
from holdfast.web.security import Secured
from holdfast.web.session import Posting, credential_in, is_encrypted
from holdfast.web.sign_in import parts
from holdfast.web.sign_in.going_on import safe_path
from holdfast.web.sign_in.parts import SingleSignOn
from holdfast.web.static_files import PREFIX

_YEAR_SECONDS = 365 * 24 * 3600

_small = APIRouter()


@_small.post("/theme")
async def choose_theme(request: Request, posted: Posting) -> Response:
    """Remembers light or dark in this browser, for those without scripts."""
    answer = RedirectResponse(safe_path(str(posted.form.get("back", "/"))), 303)
    theme = str(posted.form.get("theme", ""))
    if theme in ("light", "dark"):
        secure = is_encrypted(request)
        answer.set_cookie(THEME, theme, _YEAR_SECONDS, secure=secure, samesite="strict")
    return answer


PAGES: list[APIRouter] = [
    overview.router,
    find.router,
    projects.router,
    proof.router,
    retention.router,
    places.router,
    stores.router,
    alarms.router,
    channels.router,
    monitors.router,
    activity.router,
    machine.router,
    backup.router,
    database.router,
    drills.router,
    imports.router,
    moments.router,
    speed.router,
    uploads.router,
    new.router,
    schedules.router,
    settings.router,
    restore.router,
    running_restore.router,
    live.router,
    sign_in.router,
    passkeys.router,
    single_sign_on.router,
    welcome.router,
    setup.router,
    cli_login.router,
    account.router,
    access.router,
    roles.router,
    _small,
]


class _Application(FastAPI):
    """Puts `Arrival` around everything, as the API has it."""

    def build_middleware_stack(self) -> ASGIApp:
        api: Api = self.state.api
        return Arrival(Secured(super().build_middleware_stack()), api.proxies, api.clock)


def create_dashboard(
    api: Api,
    api_app: ASGIApp,
    settings_in_force: Sequence[SettingLine],
    single: SingleSignOn | None = None,
) -> FastAPI:
    """The dashboard over the API's application, which its pages call in this process."""
    app = _Application(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    templates = Templates()
    app.state.api = api
    app.state.api_app = api_app
    app.state.templates = templates
    app.state.settings = settings_in_force
    app.state.live = live.Hub(api)
    parts.install(app, api, single)
    problems.install(app)
    needed.install(app)
    for router in PAGES:
        app.include_router(router)
    app.add_route(f"{PREFIX}{{name:path}}", templates.static.serve, ["GET", "HEAD"])
    app.add_middleware(Limits, throttle=api.throttle, credential_of=credential_in)
    return app
