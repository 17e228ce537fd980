"""Capabilities for servers on this machine: run them, and restore snapshots in place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from holdfast.contracts.engine import Address
from holdfast.kit.processes.cell import Cell
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.process import Command
from holdfast.kit.seal import Secret

ADMIN = "holdfast_internal"
"""Holdfast's own administrator on managed servers. Its password is never shown."""


SETTLED = "holdfast.settled"
"""An empty file in a data directory whose administrator is ours, so `settle` is not needed before
its server starts."""


SERVED = "served"
"""A file that `rehearse` may leave in its tree. It is copied to the addon's home before the
restored server serves, and stays even if the old one is put back: so the next rehearsal knows it
served."""


@dataclass(frozen=True)
class Login:
    """A user of a server and its password."""

    user: str
    password: Secret


@dataclass(frozen=True)
class LocalServer:
    """A server on this machine and its data directory.

    `ours` false: an attached addon's, whose users and settings are its owner's, and whose files
    belong to the owner of `directory`. `log` is the file a managed server writes its output to.

    The addon's owner connects as `user`. `admin` administers a managed server and is never handed
    out; without one, as on attached servers, `user` is the administrator.

    `keeps_log`: its log is archived, so a server that keeps one only if told to is told to.

    `uid` is the operating system user of this server alone; `cell` hides parts of the machine from
    it. Both need root."""

    directory: Path
    port: int
    version: str
    user: str
    password: Secret
    database: str
    ours: bool = True
    log: Path | None = None
    admin: Login | None = None
    uid: int | None = None
    cell: Cell | None = None
    keeps_log: bool = False

    @property
    def users(self) -> frozenset[str]:
        """Users that may log in regardless of the files of a snapshot."""
        return frozenset((self.user, *([self.admin.user] if self.admin else [])))


DIFFERENCES = "differences"
"""Key in a rehearsal's result: a list of sentences, each a difference from the snapshot that the
caller may accept."""

FOREIGN = "foreign"
"""Key in the facts given to a rehearsal: a stranger may have shaped the snapshot."""

CHECKED_AFTERWARDS = "checkedAfterwards"
"""Key in the facts given to a rehearsal: the caller lets the restored server check all user data
itself, so the rehearsal need not."""


def is_foreign(facts: Mapping[str, Any]) -> bool:
    """Whether a stranger may have shaped a snapshot: it was imported, or marked `FOREIGN`."""
    return FOREIGN in facts or "imported" in facts


@runtime_checkable
class Hostable(Protocol):
    """A server of this kind that Holdfast runs itself from a data directory."""

    def initialise(self, server: LocalServer) -> None:
        """Creates the data directory. A half-made one from a dead attempt is replaced."""
        ...

    def settle(self, server: LocalServer, guard: Guard) -> Sequence[str]:
        """Makes `server.admin` the administrator of a data directory from an older Holdfast, whose
        server does not run. Repeatable. Returns what can no longer be used."""
        ...

    def command(self, server: LocalServer) -> Command: ...

    def ready(self, server: LocalServer) -> bool:
        """Whether it answers and accepts our login."""
        ...

    def running(self, server: LocalServer) -> int | None:
        """The pid of the server that runs from this directory, or None."""
        ...

    def stop(self, server: LocalServer) -> None:
        """Stops cleanly and waits; kills after a grace. Not running is success."""
        ...


@runtime_checkable
class Connectable(Protocol):
    """A server that knows how many are connected to it."""

    def connections(self, address: Address) -> int:
        """Connections of clients now, without the one that asks. AddonUnavailable or AddonRefused
        if it does not answer."""
        ...


@runtime_checkable
class RestorableInPlace(Protocol):
    """A server on this machine whose data directory a snapshot can replace. `tree` is the
    materialised snapshot, beside the server's own directory."""

    def obstacles(self, server: LocalServer, manifest: Mapping[str, Any]) -> Sequence[str]:
        """Reasons why this snapshot cannot run here; none: it can. Changes nothing."""
        ...

    def runs_as(self, server: LocalServer, version: str) -> str:
        """The version that a snapshot of `version` will run as here."""
        ...

    def arrange(self, tree: Path, server: LocalServer) -> None:
        """Makes `tree / "data"` a data directory for this server. Repeatable."""
        ...

    def rehearse(
        self, tree: Path, server: LocalServer, facts: Mapping[str, Any], guard: Guard
    ) -> Mapping[str, object]:
        """Starts `tree` privately, checks it, lets `server.user` in, and stops it cleanly; an
        engine that is `Succeeding` may leave it running. Servers of dead attempts are ended first.

        On an attached server the user gets no rights it did not have. Accounts of a foreign
        snapshot (`is_foreign`) can neither log in nor act on the server.

        RestoreDiffers if it does not start, EvidenceMissing if it is damaged. A server that runs
        but holds other data than was saved is no failure; the result lists `DIFFERENCES`.
        """
        ...


@runtime_checkable
class Remembered(Protocol):
    """A server whose restored successor needs facts about it."""

    def remember(self, server: LocalServer) -> Mapping[str, object]:
        """Facts for `rehearse`, beside those of the snapshot. Changes nothing; called while the
        present data is still there."""
        ...


@runtime_checkable
class Succeeding(Protocol):
    """A rehearsed server can go on as the addon's own, so that data is not loaded twice.

    `rehearse` leaves it waiting in `tree / "data"`, unreachable. It outlives our process, its
    directory may be renamed meanwhile, and a new server can always start from that directory.
    """

    def admit(self, server: LocalServer) -> None:
        """Opens the server that waits in the server's directory, if any. One that cannot be opened
        is ended, and an ordinary start must follow. Repeatable."""
        ...

    def dismiss(self, directory: Path) -> None:
        """Kills the server that runs from this directory; none is success."""
        ...
