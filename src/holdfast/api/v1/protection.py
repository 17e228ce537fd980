"""Extension: is every addon protected, why not, and what was promised."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from holdfast.api.places import AtAddon, project_at
from holdfast.api.reading import in_turn
from holdfast.api.v1.addons.addons import ADDON, Reader, Updater
from holdfast.catalog import objectives
from holdfast.domain.access import Caller, Permission
from holdfast.domain.errors import Forbidden
from holdfast.domain.protection import State as ProtectionState
from holdfast.http import answers
from holdfast.http.auth import requires
from holdfast.http.state import State
from holdfast.http.writing import Writing
from holdfast.usecases.context import Context
from holdfast.usecases.forms.objectives import ObjectiveForm
from holdfast.usecases.protection import objectives as verbs
from holdfast.views.protection import wall as views
from holdfast.views.shapes.base import One
from holdfast.views.shapes.protection import ObjectiveView, ProtectionView, ProtectionWall

router = APIRouter(tags=["protection"])

ProjectReader = Annotated[Caller, Depends(requires(Permission.PROJECT_READ))]
ProjectUpdater = Annotated[Caller, Depends(requires(Permission.PROJECT_UPDATE))]


@router.get("/protection", response_model=One[ProtectionWall])
@in_turn
def get_protection(
    api: State,
    caller: Reader,
    project_id: Annotated[str | None, Query(alias="projectId")] = None,
    state: Annotated[list[ProtectionState] | None, Query()] = None,
) -> Response:
    """Every addon that the token sees, the worst first."""
    with api.catalog.read() as session:
        if project_id is not None:
            project_at(session, caller, project_id)
        wall = views.wall(session, caller, api.clock.now(), project_id, state or ())
        return answers.one(wall)


@router.get(f"{ADDON}/protection", response_model=One[ProtectionView])
@in_turn
def get_addon_protection(api: State, caller: Reader, at: AtAddon) -> Response:
    """The state of one addon, its reasons, its objective and its last 14 days."""
    with api.catalog.read() as session:
        project, addon = at.both(session, caller)
        return answers.one(views.of_addon(session, addon.pk, project.id, api.clock.now()))


@router.get("/objective", response_model=One[ObjectiveView])
@in_turn
def get_objective(api: State, caller: ProjectReader) -> Response:
    """What was set for all addons."""
    with api.catalog.read() as session:
        return answers.one(views.objective_of(objectives.of_all(session), (None, None)))


@router.put("/objective", response_model=One[ObjectiveView])
def put_objective(writing: Writing, caller: ProjectUpdater, form: ObjectiveForm) -> Response:
    """Sets it for all addons; what is left out goes back to the default."""
    if caller.projects is not None:
        raise Forbidden("the objective of all addons is set by tokens that see all projects")
    return writing.change(
        caller, lambda context: views.objective_view(verbs.put(context, (None, None), form))
    )


@router.get("/projects/{project_id}/objective", response_model=One[ObjectiveView])
@in_turn
def get_project_objective(api: State, caller: ProjectReader, project_id: str) -> Response:
    """What was set for the addons of a project."""
    with api.catalog.read() as session:
        scope = project_at(session, caller, project_id).pk, None
        return answers.one(views.objective_of(objectives.of_all(session), scope))


@router.put("/projects/{project_id}/objective", response_model=One[ObjectiveView])
def put_project_objective(
    writing: Writing, caller: ProjectUpdater, project_id: str, form: ObjectiveForm
) -> Response:
    """Sets it for the addons of a project; what is left out is up to the installation's."""
    return writing.change(
        caller,
        lambda context: views.objective_view(
            verbs.put(context, (project_at(context.session, caller, project_id).pk, None), form)
        ),
    )


@router.get(f"{ADDON}/objective", response_model=One[ObjectiveView])
@in_turn
def get_addon_objective(api: State, caller: Reader, at: AtAddon) -> Response:
    """What was set for an addon itself."""
    with api.catalog.read() as session:
        project, addon = at.both(session, caller)
        scope = project.pk, addon.pk
        return answers.one(views.objective_of(objectives.of_all(session), scope))


@router.put(f"{ADDON}/objective", response_model=One[ObjectiveView])
def put_addon_objective(
    writing: Writing, caller: Updater, at: AtAddon, form: ObjectiveForm
) -> Response:
    """Sets it for an addon; what is left out is up to its project's."""

    def change(context: Context) -> ObjectiveView:
        project, addon = at.both(context.session, caller)
        return views.objective_view(verbs.put(context, (project.pk, addon.pk), form))

    return writing.change(caller, change)
