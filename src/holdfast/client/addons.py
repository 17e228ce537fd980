"""Addons and their types."""

from collections.abc import Iterator, Sequence

from holdfast.client.logs import LogQuery, read_range, tail
from holdfast.client.models import Addon, AddonType, Container, Credentials, LogLine, Version
from holdfast.client.parse import parsed, parsed_all
from holdfast.client.transport import Body, Transport, path_of


def _path(project: str, *rest: str) -> str:
    return path_of("projects", project, "addons", *rest)


class Addons:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def types(self) -> Iterator[AddonType]:
        return parsed_all(AddonType, self._transport.items(path_of("addon-types"), "addonTypes"))

    def list(self, project: str) -> Iterator[Addon]:
        return parsed_all(Addon, self._transport.items(_path(project), "addons"))

    def create(self, project: str, body: Body) -> Addon:
        """With `connectionString` the addon is the user's own server, else Holdfast runs one."""
        return parsed(Addon, self._transport.post(_path(project), body))

    def get(self, project: str, addon: str) -> Addon:
        return parsed(Addon, self._transport.get(_path(project, addon)))

    def update(self, project: str, addon: str, body: Body) -> Addon:
        """Returns the addon as it is afterwards, asked for again: the answer may be empty."""
        self._transport.patch(_path(project, addon), body)
        return self.get(project, addon)

    def delete(self, project: str, addon: str) -> None:
        self._transport.delete(_path(project, addon))

    def pause(self, project: str, addon: str) -> None:
        self._transport.post(_path(project, addon, "pause"))

    def resume(self, project: str, addon: str) -> None:
        self._transport.post(_path(project, addon, "resume"))

    def restart(self, project: str, addon: str) -> None:
        self._transport.post(_path(project, addon, "restart"))

    def reset(self, project: str, addon: str) -> None:
        self._transport.post(_path(project, addon, "reset"))

    def credentials(self, project: str, addon: str) -> Credentials:
        return parsed(Credentials, self._transport.get(_path(project, addon, "credentials")))

    def version(self, project: str, addon: str) -> Version:
        return parsed(Version, self._transport.get(_path(project, addon, "version")))

    def upgrade(self, project: str, addon: str, version: str) -> None:
        self._transport.post(_path(project, addon, "version"), {"version": version})

    def containers(self, project: str, addon: str) -> Iterator[Container]:
        found = self._transport.items(_path(project, addon, "containers"), "containers")
        return parsed_all(Container, found)

    def logs(self, project: str, addon: str, query: LogQuery | None = None) -> Sequence[LogLine]:
        return read_range(self._transport, _path(project, addon, "logs"), query)

    def tail(self, project: str, addon: str, query: LogQuery | None = None) -> Iterator[LogLine]:
        return tail(self._transport, _path(project, addon, "logs"), query)
