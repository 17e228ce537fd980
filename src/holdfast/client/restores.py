"""Restores. The addon in every path is the one restored into.

A backup of another addon is named together with its `Origin`. The API has no address for one
restore, so `get` looks for it among the addon's restores, newest first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from holdfast.client.errors import Answer, NotFound
from holdfast.client.logs import LogQuery, read_range, tail
from holdfast.client.models import LogLine, Restore, RestoreStarted
from holdfast.client.parse import parsed, parsed_all
from holdfast.client.transport import Transport, path_of


@dataclass(frozen=True)
class Origin:
    """Whose backup it is, when it is not the target's own."""

    project: str
    addon: str

    def params(self) -> dict[str, str | int]:
        return {"sourceProjectId": self.project, "sourceAddonId": self.addon}


def _params(origin: Origin | None) -> dict[str, str | int]:
    return origin.params() if origin else {}


def _backup(project: str, addon: str, backup: str, *rest: str) -> str:
    return path_of("projects", project, "addons", addon, "backups", backup, *rest)


class Restores:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        project: str,
        addon: str,
        backup: str,
        origin: Origin | None = None,
        *,
        replace: bool = False,
    ) -> RestoreStarted:
        """`replace`: without room for a second copy, the present data may be removed first."""
        path = _backup(project, addon, backup, "restore")
        body = {"replace": True} if replace else None
        return parsed(RestoreStarted, self._transport.post(path, body, _params(origin)))

    def list(self, project: str, addon: str) -> Iterator[Restore]:
        """Every restore into this addon, newest first."""
        path = path_of("projects", project, "addons", addon, "restores")
        return parsed_all(Restore, self._transport.items(path, "restores"))

    def list_of_backup(
        self, project: str, addon: str, backup: str, origin: Origin | None = None
    ) -> Iterator[Restore]:
        path = _backup(project, addon, backup, "restores")
        return parsed_all(Restore, self._transport.items(path, "restores", _params(origin)))

    def get(self, project: str, addon: str, restore: str) -> Restore:
        for found in self.list(project, addon):
            if found.id == restore:
                return found
        raise NotFound(Answer(404, f"the addon {addon} has no restore {restore}"))

    def abort(
        self, project: str, addon: str, restore: Restore, origin: Origin | None = None
    ) -> None:
        path = _backup(project, addon, restore.backup_id or "", "abort-restore")
        self._transport.post(path, {"restoreId": restore.id}, _params(origin))

    def logs(
        self, project: str, addon: str, restore: Restore, query: LogQuery | None = None
    ) -> Sequence[LogLine]:
        return read_range(self._transport, self._logs(project, addon, restore), query)

    def tail(
        self, project: str, addon: str, restore: Restore, query: LogQuery | None = None
    ) -> Iterator[LogLine]:
        return tail(self._transport, self._logs(project, addon, restore), query)

    def _logs(self, project: str, addon: str, restore: Restore) -> str:
        return _backup(project, addon, restore.backup_id or "", "restores", restore.id, "logs")
