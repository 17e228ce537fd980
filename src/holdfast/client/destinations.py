"""Backup destinations."""

from dataclasses import dataclass, field

from holdfast.client.models.models import (
    Adopted,
    Destination,
    DestinationBackup,
    RecoveryKit,
    Words,
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
from holdfast.client.transport.transport import Body, Envelope, Request, Turning, path_of
from holdfast.kit.seal import Secret


def _path(*rest: str) -> str:
    return path_of("backup-destinations", *rest)


def _place(destination: str | None) -> str:
    return path_of("platform-store") if destination is None else _path(destination)


class Destinations(Noun[R]):
    @listing
    def list(self) -> Listing[Destination]:
        return Listing(Destination, _path(), "backupDestinations")

    @call
    def create(self, body: Body) -> Steps[Destination]:
        """The server probes the destination first and refuses one that does not work."""
        return parsed(Destination, (yield from post(_path(), body)))

    @call
    def get(self, destination: str) -> Steps[Destination]:
        return parsed(Destination, (yield from get(_path(destination))))

    @call
    def update(self, destination: str, body: Body) -> Steps[None]:
        yield from patch(_path(destination), body)

    @call
    def delete(self, destination: str) -> Steps[None]:
        yield from delete(_path(destination))

    @call
    def recovery_kit(self, destination: str | None) -> Steps[RecoveryKit]:
        """A new one, for the platform's own store when none is named; older ones end."""
        return parsed(RecoveryKit, (yield from post(f"{_place(destination)}/recovery-kit")))

    @listing
    def backups(self, destination: str | None) -> Listing[DestinationBackup]:
        """Of the platform's own store when none is named."""
        return Listing(DestinationBackup, f"{_place(destination)}/backups", None)

    @listing
    def adopt(
        self, destination: str | None, passphrase: Secret | None, *, trusted: bool = False
    ) -> Listing[Adopted]:
        """Takes in what no catalogue entry names, some addons at a time; again and again until
        nothing is left. Without the passphrase of the recovery kit, dumps only. `trusted`: nobody
        else wrote to the place."""
        body: Words = {} if passphrase is None else {"passphrase": passphrase.reveal()}
        if trusted:
            body = {**body, "trusted": True}
        return _Adoption(Adopted, f"{_place(destination)}/adopt", None, body=body)


@dataclass(frozen=True)
class _Adoption(Listing[Adopted]):
    body: Words = field(default_factory=dict[str, object], repr=False)

    def turning(self) -> Turning:
        return _Rounds(self.path, self.body)


class _Rounds(Turning):
    """Posts again and again, each time from where the answer before ended."""

    def __init__(self, path: str, body: Words) -> None:
        super().__init__(path, None, None)
        self._body = dict(body)

    @property
    def request(self) -> Request:
        return Request("POST", self._path, body=dict(self._body))

    def take(self, page: Envelope) -> list[object]:
        found = parsed(Adopted, page.data)
        self.more = found.next is not None
        self._body["after"] = found.next
        return [page.data]
