"""Calls for backups of an addon."""

from collections.abc import Sequence

from holdfast.client.logs import LogQuery, lines_of
from holdfast.client.models.models import Backup, Document, Finish, LogLine
from holdfast.client.transport.calls import (
    Listing,
    Noun,
    R,
    Steps,
    call,
    delete,
    get,
    listing,
    post,
)
from holdfast.client.transport.errors import Answer, ServerFault
from holdfast.client.transport.parse import parsed
from holdfast.client.transport.transport import Body, path_of


def backup_path(project: str, addon: str, *rest: str) -> str:
    return path_of("projects", project, "addons", addon, "backups", *rest)


_path = backup_path


def one(project: str, addon: str, backup: str) -> Steps[Backup]:
    return parsed(Backup, (yield from get(_path(project, addon, backup))))


class Backups(Noun[R]):
    @listing
    def list(self, project: str, addon: str) -> Listing[Backup]:
        """Lists backups, the newest first."""
        return Listing(Backup, _path(project, addon), "backups")

    @call
    def create(self, project: str, addon: str, body: Body) -> Steps[Backup]:
        """Body: `name`, `backupType`, `compressionType`, `customDestinationId`,
        `retentionTime` (days), `maxRate` (KiB per second, of snapshots), `drill`, all optional."""
        return parsed(Backup, (yield from post(_path(project, addon), body)))

    @call
    def get(self, project: str, addon: str, backup: str) -> Steps[Backup]:
        return (yield from one(project, addon, backup))

    @call
    def delete(self, project: str, addon: str, backup: str, *, force: bool = False) -> Steps[None]:
        """Deletes a backup; `force` deletes even the addon's last good one."""
        yield from delete(_path(project, addon, backup), {"force": "true"} if force else None)

    @call
    def delete_stored(self, uid: str, *, force: bool = False) -> Steps[None]:
        """Deletes a backup, whose addon may be deleted, by its `uid`."""
        yield from delete(path_of("stored-backups", uid), {"force": "true"} if force else None)

    @call
    def abort(self, project: str, addon: str, backup: str) -> Steps[None]:
        yield from post(_path(project, addon, backup, "abort"))

    @call
    def retain(self, project: str, addon: str, backup: str) -> Steps[None]:
        yield from post(_path(project, addon, backup, "retain"))

    @call
    def retry_copy(self, project: str, addon: str, backup: str, destination: str) -> Steps[None]:
        """Retries an additional copy that failed now, instead of after its pause."""
        yield from post(_path(project, addon, backup, "copies", destination, "retry"))

    @call
    def repair(self, project: str, addon: str, backup: str) -> Steps[None]:
        """Makes lost copies of a snapshot again from one that is whole."""
        yield from post(_path(project, addon, backup, "repair"))

    @call
    def evidence(self, project: str, addon: str, backup: str) -> Steps[Document]:
        return parsed(Document, (yield from get(_path(project, addon, backup, "evidence"))))

    @call
    def download_link(self, project: str, addon: str, backup: str) -> Steps[str]:
        data = yield from get(_path(project, addon, backup, "download-link"))
        link = parsed(Document, data).document().get("downloadLink")
        if not isinstance(link, str) or not link:
            raise ServerFault(Answer(200, "the answer holds no download link"))
        return link

    @call
    def finish(self, project: str, addon: str, backup: str, directory: str) -> Steps[Finish]:
        """Returns what a snapshot's files in this absolute `directory` still need."""
        path = _path(project, addon, backup, "files", "finish")
        return parsed(Finish, (yield from get(path, {"directory": directory})))

    @call
    def logs(
        self, project: str, addon: str, backup: str, query: LogQuery | None = None
    ) -> Steps[Sequence[LogLine]]:
        return (yield from lines_of(_path(project, addon, backup, "logs"), query))
