"""Calls of the blocking client alone: files and live logs as plain iterators."""

from collections.abc import Iterator
from contextlib import AbstractContextManager

from holdfast.client import addons, backups, restores
from holdfast.client.logs import LogQuery, tail
from holdfast.client.models.models import LogLine, Restore
from holdfast.client.proof import reports
from holdfast.client.transport.calls import Blocking
from holdfast.client.transport.download import Download, opened


class Addons(addons.Addons[Blocking]):
    def tail(self, project: str, addon: str, query: LogQuery | None = None) -> Iterator[LogLine]:
        return tail(self.runner.transport, addons.log_path(project, addon), query)


class Backups(backups.Backups[Blocking]):
    def download(self, project: str, addon: str, backup: str) -> AbstractContextManager[Download]:
        """Opens the artifact; iterate over `chunks()` of the download."""
        link = self.download_link(project, addon, backup)
        return opened(self.runner.transport, link, f"{backup}.backup")

    def files(self, project: str, addon: str, backup: str) -> AbstractContextManager[Download]:
        """Opens a snapshot's files as a tar."""
        transport = self.runner.transport
        path = f"{transport.host}{backups.backup_path(project, addon, backup, 'files')}"
        return opened(transport, path, f"{backup}.tar", with_token=True)

    def tail(
        self, project: str, addon: str, backup: str, query: LogQuery | None = None
    ) -> Iterator[LogLine]:
        path = backups.backup_path(project, addon, backup, "logs")
        return tail(self.runner.transport, path, query)


class Restores(restores.Restores[Blocking]):
    def tail(
        self, project: str, addon: str, restore: Restore, query: LogQuery | None = None
    ) -> Iterator[LogLine]:
        return tail(self.runner.transport, restores.log_path(project, addon, restore), query)


class Reports(reports.Reports[Blocking]):
    def open(self, number: int, file: str) -> AbstractContextManager[Download]:
        """Opens a file of a report: `json`, `html` or `sig`."""
        transport = self.runner.transport
        url = f"{transport.host}{reports.file_path(number, file)}"
        return opened(transport, url, f"report-{number}.{file}", with_token=True)

    def key(self) -> str:
        """The public key that verifies reports, as PEM."""
        transport = self.runner.transport
        with opened(transport, f"{transport.host}{reports.KEY_PATH}", "key.pem") as download:
            return b"".join(download.chunks()).decode()
