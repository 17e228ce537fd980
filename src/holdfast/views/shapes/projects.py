"""Answers about projects."""

from holdfast.views.shapes.base import Document, Shape


class ProjectItem(Shape):
    id: str
    name: str
    description: str | None = None


class ProjectList(Shape):
    projects: list[ProjectItem]


class ProjectResult(ProjectItem):
    color: str | None = None
    region: str | None = None
    cluster_id: str | None = None
    created_at: str
    updated_at: str


class SpecType(Shape):
    type: str


class ProjectAddon(Shape):
    id: str
    app_id: str
    name: str
    description: str | None = None
    spec: SpecType


class Region(Shape):
    region: str


class Cluster(Shape):
    id: str
    name: str


class ProjectView(ProjectItem):
    deployment: Region
    created_at: str
    services: tuple[Document, ...] = ()
    jobs: tuple[Document, ...] = ()
    addons: list[ProjectAddon]
    cluster: Cluster
