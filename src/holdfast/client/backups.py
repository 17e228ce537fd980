"""Backups of an addon."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

from holdfast.client.download import Download, opened
from holdfast.client.errors import Answer, ServerFault
from holdfast.client.logs import LogQuery, read_range, tail
from holdfast.client.models import Backup, Document, Finish, LogLine
from holdfast.client.parse import parsed, parsed_all
from holdfast.client.transport import Body, Transport, path_of


def _path(project: str, addon: str, *rest: str) -> str:
    return path_of("projects", project, "addons", addon, "backups", *rest)


class Backups:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, project: str, addon: str) -> Iterator[Backup]:
        """Newest first."""
        return parsed_all(Backup, self._transport.items(_path(project, addon), "backups"))

    def create(self, project: str, addon: str, body: Body) -> Backup:
        """Body: `name`, `backupType`, `compressionType`, `customDestinationId`,
        `retentionTime` (days), `maxRate` (KiB per second, of snapshots), all optional."""
        return parsed(Backup, self._transport.post(_path(project, addon), body))

    def get(self, project: str, addon: str, backup: str) -> Backup:
        return parsed(Backup, self._transport.get(_path(project, addon, backup)))

    def delete(self, project: str, addon: str, backup: str, *, force: bool = False) -> None:
        """`force`: even when it is the last good one of the addon."""
        self._transport.delete(_path(project, addon, backup), {"force": "true"} if force else None)

    def delete_stored(self, uid: str, *, force: bool = False) -> None:
        """One whose addon may be gone, by its `uid`."""
        params = {"force": "true"} if force else None
        self._transport.delete(path_of("stored-backups", uid), params)

    def abort(self, project: str, addon: str, backup: str) -> None:
        self._transport.post(_path(project, addon, backup, "abort"))

    def retain(self, project: str, addon: str, backup: str) -> None:
        self._transport.post(_path(project, addon, backup, "retain"))

    def retry_copy(self, project: str, addon: str, backup: str, destination: str) -> None:
        """An additional copy that failed, now instead of after its pause."""
        self._transport.post(_path(project, addon, backup, "copies", destination, "retry"))

    def repair(self, project: str, addon: str, backup: str) -> None:
        """Lost copies of a snapshot made again from one that is whole."""
        self._transport.post(_path(project, addon, backup, "repair"))

    def evidence(self, project: str, addon: str, backup: str) -> Document:
        return parsed(Document, self._transport.get(_path(project, addon, backup, "evidence")))

    def download_link(self, project: str, addon: str, backup: str) -> str:
        found = parsed(
            Document, self._transport.get(_path(project, addon, backup, "download-link"))
        )
        link = found.document().get("downloadLink")
        if not isinstance(link, str) or not link:
            raise ServerFault(Answer(200, "the answer holds no download link"))
        return link

    def download(self, project: str, addon: str, backup: str) -> AbstractContextManager[Download]:
        """The artifact's bytes; use `chunks()` of what the context yields."""
        link = self.download_link(project, addon, backup)
        return opened(self._transport, link, f"{backup}.backup")

    def files(self, project: str, addon: str, backup: str) -> AbstractContextManager[Download]:
        """A snapshot's files as a tar."""
        path = f"{self._transport.host}{_path(project, addon, backup, 'files')}"
        return opened(self._transport, path, f"{backup}.tar", with_token=True)

    def finish(self, project: str, addon: str, backup: str, directory: str) -> Finish:
        """What a snapshot's files need that lie in this absolute `directory`."""
        path = _path(project, addon, backup, "files", "finish")
        return parsed(Finish, self._transport.get(path, {"directory": directory}))

    def logs(
        self, project: str, addon: str, backup: str, query: LogQuery | None = None
    ) -> Sequence[LogLine]:
        return read_range(self._transport, _path(project, addon, backup, "logs"), query)

    def tail(
        self, project: str, addon: str, backup: str, query: LogQuery | None = None
    ) -> Iterator[LogLine]:
        return tail(self._transport, _path(project, addon, backup, "logs"), query)
