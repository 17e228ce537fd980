"""Calls for addons and their types."""

from collections.abc import Sequence

from holdfast.client.logs import LogQuery, lines_of
from holdfast.client.models.archives import (
    ArchiveState,
    Change,
    Marked,
    PitrWindow,
    RecoveryStarted,
)
from holdfast.client.models.models import (
    Addon,
    AddonType,
    Container,
    Credentials,
    LogLine,
    Version,
)
from holdfast.client.restores import Origin
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


def _path(project: str, *rest: str) -> str:
    return path_of("projects", project, "addons", *rest)


def one(project: str, addon: str) -> Steps[Addon]:
    return parsed(Addon, (yield from get(_path(project, addon))))


class Addons(Noun[R]):
    @listing
    def types(self) -> Listing[AddonType]:
        return Listing(AddonType, path_of("addon-types"), "addonTypes")

    @listing
    def list(self, project: str) -> Listing[Addon]:
        return Listing(Addon, _path(project), "addons")

    @call
    def create(self, project: str, body: Body) -> Steps[Addon]:
        """Attaches the user's own server with a `connectionString`, else makes a managed one."""
        return parsed(Addon, (yield from post(_path(project), body)))

    @call
    def get(self, project: str, addon: str) -> Steps[Addon]:
        return (yield from one(project, addon))

    @call
    def update(self, project: str, addon: str, body: Body) -> Steps[Addon]:
        """Returns the addon from a second request: the first answer may be empty."""
        yield from patch(_path(project, addon), body)
        return (yield from one(project, addon))

    @call
    def delete(self, project: str, addon: str) -> Steps[None]:
        yield from delete(_path(project, addon))

    @call
    def pause(self, project: str, addon: str) -> Steps[None]:
        yield from post(_path(project, addon, "pause"))

    @call
    def resume(self, project: str, addon: str) -> Steps[None]:
        yield from post(_path(project, addon, "resume"))

    @call
    def restart(self, project: str, addon: str) -> Steps[None]:
        yield from post(_path(project, addon, "restart"))

    @call
    def reset(self, project: str, addon: str) -> Steps[None]:
        yield from post(_path(project, addon, "reset"))

    @call
    def scale(self, project: str, addon: str, body: Body) -> Steps[None]:
        """Body: `deploymentPlan`, `storage` (MB) and `replicas`, all optional."""
        yield from post(_path(project, addon, "scale"), body)

    @call
    def credentials(self, project: str, addon: str) -> Steps[Credentials]:
        return parsed(Credentials, (yield from get(_path(project, addon, "credentials"))))

    @call
    def version(self, project: str, addon: str) -> Steps[Version]:
        return parsed(Version, (yield from get(_path(project, addon, "version"))))

    @call
    def upgrade(self, project: str, addon: str, version: str) -> Steps[None]:
        yield from post(_path(project, addon, "version"), {"version": version})

    @listing
    def containers(self, project: str, addon: str) -> Listing[Container]:
        return Listing(Container, _path(project, addon, "containers"), "containers")

    @call
    def logs(
        self, project: str, addon: str, query: LogQuery | None = None
    ) -> Steps[Sequence[LogLine]]:
        return (yield from lines_of(log_path(project, addon), query))

    @call
    def archive(
        self, project: str, addon: str, origin: Origin | None = None
    ) -> Steps[ArchiveState]:
        """The state of the addon's archive, all its windows, and the gaps between them. `origin`:
        of another addon, also a deleted one."""
        params = origin.params() if origin else None
        return parsed(ArchiveState, (yield from get(_path(project, addon, "archive"), params)))

    @call
    def enable_archive(self, project: str, addon: str, body: Body) -> Steps[ArchiveState]:
        """Body: `days`, `intervalSeconds` and `unbounded`, all optional."""
        path = _path(project, addon, "archive")
        return parsed(ArchiveState, (yield from post(path, body)))

    @call
    def disable_archive(self, project: str, addon: str) -> Steps[None]:
        yield from delete(_path(project, addon, "archive"))

    @call
    def pitr_window(
        self, project: str, addon: str, origin: Origin | None = None
    ) -> Steps[PitrWindow]:
        params = origin.params() if origin else None
        return parsed(PitrWindow, (yield from get(_path(project, addon, "pitr-window"), params)))

    @listing
    def changes(
        self,
        project: str,
        addon: str,
        around: str,
        seconds: int = 60,
        table: str | None = None,
        origin: Origin | None = None,
    ) -> Listing[Change]:
        """What was committed so many seconds before and after an instant."""
        params: dict[str, str | int] = {"around": around, "seconds": seconds}
        if table is not None:
            params["table"] = table
        present = {**params, **(origin.params() if origin else {})}
        return Listing(Change, _path(project, addon, "archive", "changes"), "changes", present)

    @call
    def mark(self, project: str, addon: str, name: str) -> Steps[Marked]:
        """Writes a named point into the server's log."""
        path = _path(project, addon, "archive", "marks")
        return parsed(Marked, (yield from post(path, {"name": name})))

    @call
    def recover(
        self, project: str, addon: str, body: Body, origin: Origin | None = None
    ) -> Steps[RecoveryStarted]:
        """Body: one target, such as `targetTimestamp` or `beforeTransaction`. `origin`: another
        addon, whose archive is restored into this one."""
        path = _path(project, addon, "pitr")
        params = origin.params() if origin else None
        return parsed(RecoveryStarted, (yield from post(path, body, params)))


def log_path(project: str, addon: str) -> str:
    return _path(project, addon, "logs")
