"""Backup destinations."""

from collections.abc import Iterator

from holdfast.client.models import Destination, DestinationBackup, RecoveryKit
from holdfast.client.parse import parsed, parsed_all
from holdfast.client.transport import Body, Transport, path_of


def _path(*rest: str) -> str:
    return path_of("backup-destinations", *rest)


class Destinations:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> Iterator[Destination]:
        return parsed_all(Destination, self._transport.items(_path(), "backupDestinations"))

    def create(self, body: Body) -> Destination:
        """The server probes the destination first and refuses one that does not work."""
        return parsed(Destination, self._transport.post(_path(), body))

    def get(self, destination: str) -> Destination:
        return parsed(Destination, self._transport.get(_path(destination)))

    def update(self, destination: str, body: Body) -> None:
        self._transport.patch(_path(destination), body)

    def delete(self, destination: str) -> None:
        self._transport.delete(_path(destination))

    def recovery_kit(self, destination: str | None) -> RecoveryKit:
        """A new one, for the platform's own store when none is named; older ones end."""
        place = path_of("platform-store") if destination is None else _path(destination)
        return parsed(RecoveryKit, self._transport.post(f"{place}/recovery-kit"))

    def backups(self, destination: str) -> Iterator[DestinationBackup]:
        found = self._transport.items(_path(destination, "backups"), None)
        return parsed_all(DestinationBackup, found)
