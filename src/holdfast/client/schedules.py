"""Backup schedules of an addon."""

from collections.abc import Iterator

from holdfast.client.parse import parsed, parsed_all
from holdfast.client.transport import Body, Transport, path_of
from holdfast.client.upkeep import Explanation, Made, Occurrence, Schedule, Upcoming


def _path(project: str, addon: str, *rest: str) -> str:
    return path_of("projects", project, "addons", addon, "backup-schedules", *rest)


class Schedules:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, project: str, addon: str) -> Iterator[Schedule]:
        """Newest first."""
        return parsed_all(Schedule, self._transport.items(_path(project, addon), "schedules"))

    def create(self, project: str, addon: str, body: Body) -> Schedule:
        """Body: `scheduling`, `backupType` and `retentionTime`, and where copies go."""
        made = parsed(Made, self._transport.post(_path(project, addon), body))
        return self.get(project, addon, made.id)

    def get(self, project: str, addon: str, schedule: str) -> Schedule:
        return parsed(Schedule, self._transport.get(_path(project, addon, schedule)))

    def update(self, project: str, addon: str, schedule: str, retention: int) -> Schedule:
        """Backups that were taken keep the retention they were taken with."""
        body = {"retentionTime": retention}
        return parsed(Schedule, self._transport.patch(_path(project, addon, schedule), body))

    def delete(self, project: str, addon: str, schedule: str) -> None:
        self._transport.delete(_path(project, addon, schedule))

    def upcoming(
        self, project: str, addon: str, schedule: str, count: int = 10
    ) -> Iterator[Upcoming]:
        path = _path(project, addon, schedule, "occurrences")
        found = self._transport.items(path, "occurrences", {"next": count})
        return parsed_all(Upcoming, found)

    def history(self, project: str, addon: str, schedule: str) -> Iterator[Occurrence]:
        """The latest first; also of a deleted schedule."""
        path = _path(project, addon, schedule, "history")
        return parsed_all(Occurrence, self._transport.items(path, "occurrences"))

    def why(self, project: str, addon: str, schedule: str, at: str) -> Explanation:
        """`at` is an RFC 3339 instant; also of a deleted schedule."""
        path = _path(project, addon, schedule, "why")
        return parsed(Explanation, self._transport.get(path, {"at": at}))
