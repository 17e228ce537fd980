"""Makes the API's views of projects."""

from holdfast.catalog import addons
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Project
from holdfast.kit.clock import rfc3339
from holdfast.views.shapes.projects import (
    Cluster,
    ProjectAddon,
    ProjectItem,
    ProjectResult,
    ProjectView,
    Region,
    SpecType,
)

LOCAL = "local"


def item(project: Project) -> ProjectItem:
    return ProjectItem(id=project.id, name=project.name, description=project.description)


def result(project: Project) -> ProjectResult:
    return ProjectResult(
        id=project.id,
        name=project.name,
        description=project.description,
        color=project.color,
        region=project.region,
        cluster_id=project.cluster,
        created_at=rfc3339(project.created),
        updated_at=rfc3339(project.updated),
    )


def cluster(project: Project) -> Cluster:
    name = project.cluster or LOCAL
    return Cluster(id=name, name=name)


def view(session: ReadSession, project: Project, team: str) -> ProjectView:
    return ProjectView(
        id=project.id,
        name=project.name,
        description=project.description,
        deployment=Region(region=project.region or LOCAL),
        created_at=rfc3339(project.created),
        addons=[
            ProjectAddon(
                id=addon.id,
                app_id=f"/{team}/{project.id}/{addon.id}",
                name=addon.name,
                description=addon.description,
                spec=SpecType(type=addon.kind),
            )
            for addon in addons.of_project(session, project.pk)
        ],
        cluster=cluster(project),
    )
