"""Account routes: login, addon types, teams, about this installation."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from holdfast import __version__
from holdfast.domain.access import Caller, Permission
from holdfast.http import answers
from holdfast.http.auth import Known, requires
from holdfast.http.state import State
from holdfast.views import addons as views
from holdfast.views.shapes.addons import AddonTypes
from holdfast.views.shapes.base import Empty, Many, One
from holdfast.views.shapes.others import About, Team, TeamList

router = APIRouter(tags=["account"])

TeamReader = Annotated[Caller, Depends(requires(Permission.TEAM_READ))]


@router.get("/login", response_model=One[Empty])
def login(caller: Known) -> Response:
    """Confirms that the token is valid."""
    return answers.nothing()


@router.get("/addon-types", response_model=One[AddonTypes])
def addon_types(api: State, caller: Known) -> Response:
    """What each engine can do on this machine now."""
    types = [views.addon_type(api.engines(kind)) for kind in api.engine_kinds]
    return answers.one(AddonTypes(addon_types=types))


@router.get("/teams", response_model=Many[TeamList])
def list_teams(api: State, caller: TeamReader) -> Response:
    """One installation is one team."""
    return answers.many(TeamList(teams=[Team(id=api.team_id, name=api.team_id)]), 1, None)


@router.get("/about", response_model=One[About])
def about(api: State, caller: Known) -> Response:
    return answers.one(About(version=__version__, team=api.team_id, node=api.services.node))
