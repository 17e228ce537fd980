"""Servers on our own machine: run from a data directory, put back to a snapshot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from holdfast.kit.processes.cell import Cell
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.process import Command
from holdfast.kit.seal import Secret

ADMIN = "holdfast_internal"
"""Holdfast's own administrator on managed servers. Its password is shown to nobody."""


SETTLED = "holdfast.settled"
"""An empty file in a data directory whose administrator is ours: nothing of it has to be changed
before its server starts."""


SERVED = "served"
"""A file that `rehearse` may leave in its tree. It is copied beside the tree before that server
serves, and stays there even if the old one is put back: the next rehearsal knows who has served."""


@dataclass(frozen=True)
class Login:
    """A user of a server, and how it gets in."""

    user: str
    password: Secret


@dataclass(frozen=True)
class LocalServer:
    """Where a server lives on this machine. `ours` false: it is an attached addon's, whose users
    and settings are its owner's, and whose files belong to whom `directory` does. `log` is the
    file that a server of ours writes its output to.

    `user` is whom the addon's owner connects as. `admin` administers the server and is handed to
    nobody; without one `user` is the administrator, as on servers that are somebody's own.

    `uid` is the operating system's user that only this server has, and `cell` what of the machine
    it does not see: both only for root to give."""

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

    @property
    def users(self) -> frozenset[str]:
        """Who may log in whatever the files of a snapshot say."""
        return frozenset((self.user, *([self.admin.user] if self.admin else [])))


DIFFERENCES = "differences"
"""Among what a rehearsal proved: a list of sentences, each a difference from the snapshot that the
person may accept."""

FOREIGN = "foreign"
"""Among the facts that a rehearsal is given: strangers may have shaped the snapshot."""


def is_foreign(facts: Mapping[str, Any]) -> bool:
    """Whether strangers may have shaped a snapshot: a file was imported, or see `FOREIGN`."""
    return FOREIGN in facts or "imported" in facts


@runtime_checkable
class Hostable(Protocol):
    """A server of this kind that Holdfast runs itself from a data directory."""

    def initialise(self, place: LocalServer) -> None:
        """Creates the data directory. A half-made one from a dead attempt is replaced."""
        ...

    def settle(self, place: LocalServer, guard: Guard) -> Sequence[str]:
        """Changes a data directory of an older Holdfast, whose server does not run, to one whose
        administrator is `place.admin`. Repeatable. Says what nobody can use any more."""
        ...

    def command(self, place: LocalServer) -> Command: ...

    def ready(self, place: LocalServer) -> bool:
        """Does it answer and let us in?"""
        ...

    def running(self, place: LocalServer) -> int | None:
        """The pid of the server that serves this directory, or None."""
        ...

    def stop(self, place: LocalServer) -> None:
        """Stops cleanly and waits; kills after a grace. Not running is success."""
        ...


@runtime_checkable
class Rewindable(Protocol):
    """A server on this machine that can be put back to a snapshot. `tree` is what a snapshot was
    made of, materialised beside the place's own directory."""

    def obstacles(self, place: LocalServer, manifest: Mapping[str, Any]) -> Sequence[str]:
        """Why this snapshot cannot run at this place; none: it can. Looks, changes nothing."""
        ...

    def runs_as(self, place: LocalServer, version: str) -> str:
        """The version that a snapshot of `version` will run as at this place."""
        ...

    def arrange(self, tree: Path, place: LocalServer) -> None:
        """Makes `tree / "data"` a data directory for this place. Repeatable."""
        ...

    def rehearse(
        self, tree: Path, place: LocalServer, facts: Mapping[str, Any], guard: Guard
    ) -> Mapping[str, object]:
        """Boots it privately, checks it, lets the place's user in, stops it cleanly; one that is
        `Succeeding` may stay. What a dead attempt left running is ended first.

        On a place that is not ours the user gets no rights it did not have. Of a foreign snapshot
        (`is_foreign`) nothing keeps its power: no account of it may log in or act on the server.

        RestoreDiffers when it does not start, EvidenceMissing when it is damaged. A server that
        runs and holds something else than was saved is no failure but `DIFFERENCES`.
        """
        ...


@runtime_checkable
class Remembered(Protocol):
    """A server whose successor at a place has to know something of it."""

    def remember(self, place: LocalServer) -> Mapping[str, object]:
        """Facts that `rehearse` gets with those of the snapshot. Looks, changes nothing; asked
        while the present data is still there."""
        ...


@runtime_checkable
class Succeeding(Protocol):
    """A rehearsed server may go on as the place's own, so that nothing is loaded twice.

    `rehearse` leaves it waiting in `tree / "data"`, where nobody reaches it. It outlives us, and
    its directory may be renamed meanwhile, and is always one to start from, too.
    """

    def admit(self, place: LocalServer) -> None:
        """Opens a server that waits in the place's directory; one that cannot be opened is ended,
        and an ordinary start has to follow. Where none waits nothing happens. Repeatable."""
        ...

    def dismiss(self, directory: Path) -> None:
        """Ends at once whatever server runs from this directory. None is success."""
        ...
