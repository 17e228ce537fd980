"""Builds the application: every route with and without the team, one handling of errors."""

from fastapi import APIRouter, Depends, FastAPI
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp

from holdfast import __version__
from holdfast.api import reference
from holdfast.api.v1 import (
    account,
    adoption,
    audit,
    destinations,
    drills,
    logs,
    projects,
    proof,
    protection,
    retention,
    schedules,
    tokens,
)
from holdfast.api.v1.access import cli_login, sessions, users
from holdfast.api.v1.addons import actions, addons
from holdfast.api.v1.alarms import alarms, channels, integrations, monitors, pings
from holdfast.api.v1.backups import backups, downloads, imports, pitr, restores, snapshots
from holdfast.domain.errors import NotFound
from holdfast.http import errors, health, metrics, state
from holdfast.http.arrival import Arrival
from holdfast.http.body import BodyGate
from holdfast.http.limits.rates import Limits
from holdfast.http.state import Api

_NOUNS: list[APIRouter] = [
    account.router,
    projects.router,
    protection.router,
    addons.router,
    actions.router,
    backups.router,
    downloads.router,
    imports.router,
    snapshots.router,
    adoption.router,
    restores.router,
    drills.router,
    schedules.router,
    retention.router,
    pitr.router,
    destinations.router,
    logs.router,
    tokens.router,
    users.router,
    sessions.router,
    cli_login.router,
    audit.router,
    alarms.router,
    channels.router,
    integrations.router,
    monitors.router,
    proof.router,
]


def require_team(connection: HTTPConnection) -> None:
    """Raises NotFound for another team than the configured one: an installation is one team."""
    team, team_id = state.of(connection).team, connection.path_params.get("team_id")
    if team and team_id != team:
        raise NotFound(f"there is no team {team_id!r}")


class _Application(FastAPI):
    """Puts `Arrival` around the framework's handler of crashes; its own middleware is inside."""

    def build_middleware_stack(self) -> ASGIApp:
        api: Api = self.state.api
        return Arrival(super().build_middleware_stack(), api.proxies, api.clock)


def describe() -> reference.Document:
    """Returns the API document, without an installation."""
    return reference.Reference(_routed()).document


def create_app(api: Api) -> FastAPI:
    app = _routed()
    app.state.api = api
    app.state.readiness = health.Readiness()
    app.state.reference = reference.Reference(app)
    app.add_middleware(BodyGate)
    app.add_middleware(Limits, throttle=api.throttle)
    return app


def _routed() -> FastAPI:
    app = _Application(
        title="Holdfast",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=reference.ERRORS,
        generate_unique_id_function=reference.operation_id,
    )
    errors.install(app)
    for noun in _NOUNS:
        app.include_router(noun, prefix="/v1")
    app.include_router(downloads.files)
    app.include_router(pings.router)
    app.include_router(health.router, responses=reference.ENVELOPE)
    app.include_router(metrics.router)
    app.include_router(reference.router)
    # Last: the framework builds routes when a request reaches them, and many installations never
    # need these.
    for noun in _NOUNS:
        app.include_router(
            noun,
            prefix="/v1/teams/{team_id}",
            include_in_schema=False,
            dependencies=[Depends(require_team)],
        )
    return app
