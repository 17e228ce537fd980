"""Project routes: list, create, put, get, patch, delete."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from holdfast.api.places import Paging, project_at
from holdfast.api.read_route import ReadRoute
from holdfast.api.reading import in_turn
from holdfast.catalog import projects as rows
from holdfast.domain.access import Caller, Permission
from holdfast.http import answers
from holdfast.http.auth import requires
from holdfast.http.state import State
from holdfast.http.writing import Writing
from holdfast.usecases import projects as verbs
from holdfast.usecases.forms.forms import ProjectForm, ProjectPatch
from holdfast.views import projects as views
from holdfast.views.shapes.base import Empty, Many, One
from holdfast.views.shapes.projects import ProjectList, ProjectResult, ProjectView

router = APIRouter(tags=["projects"], route_class=ReadRoute)

Reader = Annotated[Caller, Depends(requires(Permission.PROJECT_READ))]
Creator = Annotated[Caller, Depends(requires(Permission.PROJECT_CREATE))]
Updater = Annotated[Caller, Depends(requires(Permission.PROJECT_UPDATE))]
Deleter = Annotated[Caller, Depends(requires(Permission.PROJECT_DELETE))]


@router.get("/projects", response_model=Many[ProjectList])
@in_turn
def list_projects(api: State, caller: Reader, page: Paging) -> Response:
    with api.catalog.read() as session:
        listed = rows.listed(session, caller, page)
        items = [views.item(project) for project in listed.items]
    return answers.many(ProjectList(projects=items), len(items), listed.cursor)


@router.post("/projects", response_model=One[ProjectResult])
def create_project(writing: Writing, caller: Creator, form: ProjectForm) -> Response:
    return writing.create(caller, lambda context: views.result(verbs.create(context, form)))


@router.put("/projects", response_model=One[ProjectResult])
def put_project(writing: Writing, caller: Creator, form: ProjectForm) -> Response:
    return writing.change(caller, lambda context: views.result(verbs.put(context, form)))


@router.get("/projects/{project_id}", response_model=One[ProjectView])
@in_turn
def get_project(api: State, caller: Reader, project_id: str) -> Response:
    with api.catalog.read() as session:
        project = project_at(session, caller, project_id)
        return answers.one(views.view(session, project, api.team_id))


@router.patch("/projects/{project_id}", response_model=One[ProjectResult])
def patch_project(
    writing: Writing, caller: Updater, project_id: str, form: ProjectPatch
) -> Response:
    return writing.change(
        caller,
        lambda context: views.result(
            verbs.patch(context, project_at(context.session, caller, project_id), form)
        ),
    )


@router.delete("/projects/{project_id}", response_model=One[Empty])
def delete_project(
    writing: Writing,
    caller: Deleter,
    project_id: str,
    *,
    delete_child_objects: Annotated[bool, Query()] = False,
) -> Response:
    return writing.undo(
        caller,
        lambda context: verbs.delete(
            context,
            project_at(context.session, caller, project_id),
            delete_children=delete_child_objects,
        ),
    )
