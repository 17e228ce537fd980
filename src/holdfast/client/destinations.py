"""Calls for backup destinations."""

from dataclasses import dataclass, field

from holdfast.client.models.models import (
    Adopted,
    Destination,
    DestinationBackup,
    Probe,
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
from holdfast.client.transport.transport import Body, Envelope, Pager, Request, path_of
from holdfast.kit.seal import Secret


def _path(*rest: str) -> str:
    return path_of("backup-destinations", *rest)


def _store_path(destination: str | None) -> str:
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
    def probe(self, destination: str | None) -> Steps[Probe]:
        """Tries a destination or the platform's own store now; says what does not work."""
        return parsed(Probe, (yield from post(f"{_store_path(destination)}/probe")))

    @call
    def recovery_kit(self, destination: str | None) -> Steps[RecoveryKit]:
        """Makes a kit for a destination or the platform's own store; the old one ends."""
        return parsed(RecoveryKit, (yield from post(f"{_store_path(destination)}/recovery-kit")))

    @listing
    def backups(self, destination: str | None) -> Listing[DestinationBackup]:
        """Lists backups at a destination, or in the platform's own store."""
        return Listing(DestinationBackup, f"{_store_path(destination)}/backups", None)

    @listing
    def adopt(
        self, destination: str | None, passphrase: Secret | None, *, trusted: bool = False
    ) -> Listing[Adopted]:
        """Adopts backups that no catalogue entry names, some addons at a time, until none is left.

        Without the passphrase of the recovery kit, dumps only. `trusted`: only Holdfast wrote to
        the store.
        """
        body: Words = {} if passphrase is None else {"passphrase": passphrase.reveal()}
        if trusted:
            body = {**body, "trusted": True}
        return _Adoption(Adopted, f"{_store_path(destination)}/adopt", None, body=body)


@dataclass(frozen=True)
class _Adoption(Listing[Adopted]):
    body: Words = field(default_factory=dict[str, object], repr=False)

    def pager(self) -> Pager:
        return _AdoptionPager(self.path, self.body)


class _AdoptionPager(Pager):
    """Posts repeatedly, each time from where the last answer ended."""

    def __init__(self, path: str, body: Words) -> None:
        super().__init__(path, None, None)
        self._body = dict(body)

    @property
    def request(self) -> Request:
        return Request("POST", self._path, body=dict(self._body))

    def take(self, page: Envelope) -> list[object]:
        adopted = parsed(Adopted, page.data)
        self.more = adopted.next is not None
        self._body["after"] = adopted.next
        return [page.data]
