"""Projects."""

from collections.abc import Iterator

from holdfast.client.models import Project
from holdfast.client.parse import parsed, parsed_all
from holdfast.client.transport import Body, Transport, path_of


class Projects:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> Iterator[Project]:
        return parsed_all(Project, self._transport.items(path_of("projects"), "projects"))

    def create(self, body: Body) -> Project:
        return parsed(Project, self._transport.post(path_of("projects"), body))

    def get(self, project: str) -> Project:
        return parsed(Project, self._transport.get(path_of("projects", project)))

    def update(self, project: str, body: Body) -> Project:
        return parsed(Project, self._transport.patch(path_of("projects", project), body))

    def delete(self, project: str, *, with_contents: bool = False) -> None:
        """Refused with Conflict while it holds something, unless `with_contents`."""
        params = {"delete_child_objects": "true"} if with_contents else None
        self._transport.delete(path_of("projects", project), params)
