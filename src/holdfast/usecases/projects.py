"""Projects: create, put, patch, delete."""

from holdfast.catalog import addons, destinations, projects
from holdfast.catalog.schema import Project
from holdfast.domain.errors import Conflict
from holdfast.domain.naming import name_taken, slug
from holdfast.usecases import addons as addon_verbs
from holdfast.usecases.context import Context
from holdfast.usecases.forms.forms import ProjectForm, ProjectPatch


def create(context: Context, form: ProjectForm) -> Project:
    identifier = slug(form.name)
    if projects.find(context.session, identifier) is not None:
        raise name_taken("a project", identifier)
    project = Project(
        id=identifier,
        name=form.name,
        description=form.description,
        color=form.color,
        region=form.region,
        cluster=form.cluster_id,
        created=context.now,
        updated=context.now,
    )
    context.session.add(project)
    context.session.flush()
    return project


def put(context: Context, form: ProjectForm) -> Project:
    """Creates the project, or updates the one of that name."""
    existing = projects.find(context.session, slug(form.name))
    if existing is None or not context.caller.sees(existing.id):
        return create(context, form)
    existing.description, existing.color = form.description, form.color
    existing.region, existing.cluster = form.region, form.cluster_id
    existing.updated = context.now
    return existing


def patch(context: Context, project: Project, form: ProjectPatch) -> Project:
    """Changes the fields that were sent. The id stays, whatever the new name."""
    for name in form.model_fields_set & {"name", "description", "color"}:
        setattr(project, name, getattr(form, name) or (project.name if name == "name" else None))
    project.updated = context.now
    return project


def delete(context: Context, project: Project, *, delete_children: bool) -> None:
    children = addons.of_project(context.session, project.pk)
    if children and not delete_children:
        raise Conflict(
            "the project still has addons; delete them first or pass delete_child_objects=true",
            {"addons": [addon.id for addon in children]},
        )
    owned = [destination.id for destination in destinations.of_project(context.session, project.pk)]
    if owned:
        raise Conflict(
            "the project still owns backup destinations; delete them first", {"destinations": owned}
        )
    for addon in children:
        addon_verbs.delete(context, addon)
    project.deleted = context.now
