"""Calls for backup schedules of an addon."""

from holdfast.client.models.upkeep import (
    CreatedSchedule,
    Explanation,
    Occurrence,
    Schedule,
    Upcoming,
)
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


def _path(project: str, addon: str, *rest: str) -> str:
    return path_of("projects", project, "addons", addon, "backup-schedules", *rest)


class Schedules(Noun[R]):
    @listing
    def list(self, project: str, addon: str) -> Listing[Schedule]:
        """Lists schedules, the newest first."""
        return Listing(Schedule, _path(project, addon), "schedules")

    @call
    def create(self, project: str, addon: str, body: Body) -> Steps[Schedule]:
        """Body: `scheduling`, `backupType` and `retentionTime`, and where copies go."""
        created = parsed(CreatedSchedule, (yield from post(_path(project, addon), body)))
        return parsed(Schedule, (yield from get(_path(project, addon, created.id))))

    @call
    def get(self, project: str, addon: str, schedule: str) -> Steps[Schedule]:
        return parsed(Schedule, (yield from get(_path(project, addon, schedule))))

    @call
    def update(self, project: str, addon: str, schedule: str, retention: int) -> Steps[Schedule]:
        """Changes the retention of future backups."""
        body = {"retentionTime": retention}
        return parsed(Schedule, (yield from patch(_path(project, addon, schedule), body)))

    @call
    def pause(
        self, project: str, addon: str, schedule: str, reason: str | None = None
    ) -> Steps[Schedule]:
        """Fires nothing of the schedule until it is resumed."""
        body = {} if reason is None else {"reason": reason}
        path = _path(project, addon, schedule, "pause")
        return parsed(Schedule, (yield from post(path, body)))

    @call
    def resume(self, project: str, addon: str, schedule: str) -> Steps[Schedule]:
        path = _path(project, addon, schedule, "resume")
        return parsed(Schedule, (yield from post(path)))

    @call
    def delete(self, project: str, addon: str, schedule: str) -> Steps[None]:
        yield from delete(_path(project, addon, schedule))

    @listing
    def upcoming(
        self, project: str, addon: str, schedule: str, count: int = 10
    ) -> Listing[Upcoming]:
        path = _path(project, addon, schedule, "occurrences")
        return Listing(Upcoming, path, "occurrences", {"next": count})

    @listing
    def history(self, project: str, addon: str, schedule: str) -> Listing[Occurrence]:
        """Lists outcomes, the latest first; also of a deleted schedule."""
        return Listing(Occurrence, _path(project, addon, schedule, "history"), "occurrences")

    @call
    def why(self, project: str, addon: str, schedule: str, at: str) -> Steps[Explanation]:
        """Explains the instant `at` (RFC 3339); also of a deleted schedule."""
        path = _path(project, addon, schedule, "why")
        return parsed(Explanation, (yield from get(path, {"at": at})))
