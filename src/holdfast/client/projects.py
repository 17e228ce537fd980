"""Calls for projects."""

from holdfast.client.models.models import Project
from holdfast.client.transport.calls import (
    Listing,
    Noun,
    R,
    Steps,
    call,
    delete,
    get,
    listing,
    patch,
    post,
)
from holdfast.client.transport.parse import parsed
from holdfast.client.transport.transport import Body, path_of


class Projects(Noun[R]):
    @listing
    def list(self) -> Listing[Project]:
        return Listing(Project, path_of("projects"), "projects")

    @call
    def create(self, body: Body) -> Steps[Project]:
        return parsed(Project, (yield from post(path_of("projects"), body)))

    @call
    def get(self, project: str) -> Steps[Project]:
        return parsed(Project, (yield from get(path_of("projects", project))))

    @call
    def update(self, project: str, body: Body) -> Steps[Project]:
        return parsed(Project, (yield from patch(path_of("projects", project), body)))

    @call
    def delete(self, project: str, *, with_contents: bool = False) -> Steps[None]:
        """Deletes a project. Raises Conflict while it has addons, unless `with_contents`."""
        params = {"delete_child_objects": "true"} if with_contents else None
        yield from delete(path_of("projects", project), params)
