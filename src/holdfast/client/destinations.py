"""Backup destinations."""

from collections.abc import Iterator

from holdfast.client.models import Adopted, Destination, DestinationBackup, RecoveryKit
from holdfast.client.parse import parsed, parsed_all
from holdfast.client.transport import Body, Transport, path_of
from holdfast.kit.seal import Secret


def _path(*rest: str) -> str:
    return path_of("backup-destinations", *rest)


def _place(destination: str | None) -> str:
    return path_of("platform-store") if destination is None else _path(destination)


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
        return parsed(RecoveryKit, self._transport.post(f"{_place(destination)}/recovery-kit"))

    def backups(self, destination: str | None) -> Iterator[DestinationBackup]:
        """Of the platform's own store when none is named."""
        found = self._transport.items(f"{_place(destination)}/backups", None)
        return parsed_all(DestinationBackup, found)

    def adopt(self, destination: str | None, passphrase: Secret | None) -> Iterator[Adopted]:
        """Takes in what no catalogue entry names, some addons at a time; again and again until
        nothing is left. Without the passphrase of the recovery kit, dumps only."""
        body: dict[str, object] = {} if passphrase is None else {"passphrase": passphrase.reveal()}
        while True:
            answer = self._transport.post(f"{_place(destination)}/adopt", body)
            found = parsed(Adopted, answer)
            yield found
            if found.next is None:
                return
            body["after"] = found.next
