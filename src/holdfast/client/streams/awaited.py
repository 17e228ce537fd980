"""Calls of the asyncio client alone: files and live logs to iterate over."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from holdfast.client import addons, backups, restores
from holdfast.client.logs import LogQuery, follow
from holdfast.client.models.models import LogLine, Restore
from holdfast.client.proof import reports
from holdfast.client.transport.calls import Awaiting
from holdfast.client.transport.download import AsyncDownload, opened_awaited


class Addons(addons.Addons[Awaiting]):
    def tail(
        self, project: str, addon: str, query: LogQuery | None = None
    ) -> AsyncIterator[LogLine]:
        return follow(self.runner.transport, addons.log_path(project, addon), query)


class Backups(backups.Backups[Awaiting]):
    @asynccontextmanager
    async def download(
        self, project: str, addon: str, backup: str
    ) -> AsyncGenerator[AsyncDownload]:
        """Opens the artifact; iterate over `chunks()` of the download."""
        link = await self.download_link(project, addon, backup)
        async with opened_awaited(self.runner.transport, link, f"{backup}.backup") as download:
            yield download

    @asynccontextmanager
    async def files(self, project: str, addon: str, backup: str) -> AsyncGenerator[AsyncDownload]:
        """Opens a snapshot's files as a tar."""
        transport = self.runner.transport
        path = f"{transport.host}{backups.backup_path(project, addon, backup, 'files')}"
        async with opened_awaited(transport, path, f"{backup}.tar", with_token=True) as download:
            yield download

    def tail(
        self, project: str, addon: str, backup: str, query: LogQuery | None = None
    ) -> AsyncIterator[LogLine]:
        path = backups.backup_path(project, addon, backup, "logs")
        return follow(self.runner.transport, path, query)


class Restores(restores.Restores[Awaiting]):
    def tail(
        self, project: str, addon: str, restore: Restore, query: LogQuery | None = None
    ) -> AsyncIterator[LogLine]:
        return follow(self.runner.transport, restores.log_path(project, addon, restore), query)


class Reports(reports.Reports[Awaiting]):
    @asynccontextmanager
    async def open(self, number: int, file: str) -> AsyncGenerator[AsyncDownload]:
        """Opens a file of a report: `json`, `html` or `sig`."""
        transport = self.runner.transport
        url, name = f"{transport.host}{reports.file_path(number, file)}", f"report-{number}.{file}"
        async with opened_awaited(transport, url, name, with_token=True) as download:
            yield download

    async def key(self) -> str:
        """The public key that verifies reports, as PEM."""
        transport = self.runner.transport
        url = f"{transport.host}{reports.KEY_PATH}"
        async with opened_awaited(transport, url, "key.pem") as download:
            return b"".join([chunk async for chunk in download.chunks()]).decode()
