"""The application: every route twice (with and without the team), one way to fail."""

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
    logs,
    projects,
    protection,
    retention,
    schedules,
    tokens,
)
from holdfast.api.v1.addons import actions, addons
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
    schedules.router,
    retention.router,
    pitr.router,
    destinations.router,
    logs.router,
    tokens.router,
    audit.router,
]


def _known_team(connection: HTTPConnection) -> None:
    """One installation is one team; with a team configured, other ids do not exist."""
    team, asked = state.of(connection).team, connection.path_params.get("team_id")
    if team and asked != team:
        raise NotFound(f"there is no team {asked!r}")


class _Application(FastAPI):
    """Middleware of the framework is inside its handler of crashes; `Arrival` is around it."""

    def build_middleware_stack(self) -> ASGIApp:
        api: Api = self.state.api
        return Arrival(super().build_middleware_stack(), api.proxies, api.clock)


def describe() -> reference.Document:
    """The API document, without an installation."""
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
    app.include_router(health.router, responses=reference.ENVELOPE)
    app.include_router(metrics.router)
    app.include_router(reference.router)
    # Last: routes are made when a request comes as far as them, and many installations need none
    # of these.
    for noun in _NOUNS:
        app.include_router(
            noun,
            prefix="/v1/teams/{team_id}",
            include_in_schema=False,
            dependencies=[Depends(_known_team)],
        )
    return app
