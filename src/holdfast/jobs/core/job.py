"""One attempt of one operation: its arguments, its log, and what it may still do."""

import logging
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from holdfast.catalog import addons
from holdfast.catalog.database.session import CatalogAway, ReadSession, WriteSession
from holdfast.catalog.schema import Addon, Copy, Document
from holdfast.catalog.work import journal, leftovers, operations
from holdfast.contracts.engine import Address, Attempt, Engine
from holdfast.contracts.local_servers import SETTLED
from holdfast.contracts.queue import Dispatch
from holdfast.domain.addon import Desired
from holdfast.domain.errors import AddonUnavailable, FencedOff
from holdfast.kit.processes.guard import Guard
from holdfast.repositories.restic.locks import LockOwner
from holdfast.repositories.restic.repository import Repository
from holdfast.usecases.toolbox import Toolbox, place_of

log = logging.getLogger(__name__)

AWAY_SECONDS = 1.0
"""Between two tries to reach a catalogue that is away."""

SETTLE_SECONDS = 300.0

SERVER_LOG = "server.log"
"""What a managed server says, in its addon's directory."""


@dataclass(frozen=True)
class Job:
    """One attempt of one operation: which it is, the addon it is about, and how to speak."""

    tools: Toolbox
    what: Dispatch
    addon: Addon
    arguments: Mapping[str, object]
    guard: Guard
    over: bool = False
    """The operation has ended and only its leftovers are being removed."""
    opened: dict[int | None, Repository] = field(default_factory=dict[int | None, Repository])
    """Its repositories, by place: opening one reads its whole index."""

    @property
    def attempt(self) -> Attempt:
        tag = f"{self.what.op[:10]}_{self.what.fence}"
        return Attempt(
            self.what.op,
            tag,
            self.say,
            keep_others=not self.addon.managed,
            number=self.what.fence,
            confirm=self.require_hold,
        )

    @property
    def inherits(self) -> bool:
        """May an earlier attempt have died? What that one left is for this one to remove."""
        return self.what.fence > 1 and not self.over

    @property
    def sign(self) -> LockOwner:
        """How this attempt signs its locks in a repository."""
        return LockOwner(self.what.op, self.what.fence)

    def say(self, text: str) -> None:
        """A line in the operation's log. FencedOff when it is no longer ours to write."""
        now = self.tools.clock.now()

        def write(session: WriteSession) -> bool:
            if not self.over and not operations.holds(session, self.what):
                return False
            journal.write(session, self.what.op, now, text)
            return True

        self._insist(write)

    def _is_ours(self, session: ReadSession) -> bool:
        ask = leftovers.cleans if self.over else operations.holds
        return ask(session, self.what)

    def require_hold(self) -> None:
        """FencedOff when another attempt works on it, or it is over.

        True only for the moment: whoever destroys something holds what keeps others out (a lock of
        this machine, a session that a successor would end first) while asking.
        """
        self._insist(self._is_ours)

    def change(self, work: Callable[[WriteSession], None]) -> None:
        """A change of rows by the attempt that may act; FencedOff, and nothing changed, else."""

        def write(session: WriteSession) -> bool:
            operations.locked(session, self.what.op)
            if not self._is_ours(session):
                return False
            work(session)
            return True

        self._insist(write)

    @contextmanager
    def holding(self, lock: AbstractContextManager[None]) -> Generator[None]:
        """Inside of a lock that every attempt takes before it acts, and still the one to act.

        A worker that is paused in here keeps its successors waiting at the lock until it goes on or
        dies; one that waited at the lock while a successor did the work is fenced off.
        """
        with lock:
            self.require_hold()
            yield

    def engine(self) -> Engine:
        return self.tools.engines(self.addon.kind)

    def address(self) -> Address:
        return addons.working_address(self.addon, self.tools.sealer)

    def repository(self, destination_pk: int | None) -> Repository:
        """The addon's own at a place, made when there is none yet."""
        if destination_pk not in self.opened:
            self.opened[destination_pk] = self.tools.snapshot_repositories.ensure(
                str(self.arguments["project"]), self.addon, destination_pk, self.tools.clock.now()
            )
        return self.opened[destination_pk]

    def repository_of(self, copy: Copy) -> Repository:
        """The one that holds a snapshot's copy, of whatever addon."""
        if copy.addon_pk != self.addon.pk:
            return self.tools.snapshot_repositories.of_copy(copy)
        if copy.destination_pk not in self.opened:
            self.opened[copy.destination_pk] = self.tools.snapshot_repositories.of_copy(copy)
        return self.opened[copy.destination_pk]

    def require_running(self, *, enters: bool = True) -> None:
        """A connection error would be true as well, but not the reason. `enters`: the work needs
        a session there, and a directory that is put in its place does not."""
        if self.addon.desired == Desired.PAUSED:
            raise AddonUnavailable("the addon is paused; resume it first")
        if self.addon.managed and enters:
            self._await_settled()

    def _await_settled(self) -> None:
        """After an upgrade the supervisor changes a server of before; until then nobody of ours
        gets in."""
        directory = place_of(self.tools, self.addon).directory
        deadline = self.tools.clock.monotonic() + SETTLE_SECONDS
        while directory.exists() and not (directory / SETTLED).exists():
            if self.tools.clock.monotonic() > deadline:
                raise AddonUnavailable("the server still has the administrator of an older version")
            self.guard.wait(AWAY_SECONDS)

    def moved(self, count: int) -> None:
        """`count` bytes went through; raises when the operation was told to stop."""
        self.guard.check()
        self.guard.moved(count)

    def save(self, step: str, record: Document) -> None:
        self._insist(lambda session: operations.save(session, self.what, step, record))

    def _insist(self, change: Callable[[WriteSession], bool]) -> None:
        """A catalogue that is away for a while does not end the work, unless we are stopped."""
        while True:
            try:
                with self.tools.catalog.write() as session:
                    if not change(session):
                        raise FencedOff
            except CatalogAway as error:
                self.await_catalog(str(error.orig))
            else:
                return

    def await_catalog(self, why: str) -> None:
        log.warning("catalogue away, trying again", extra={"op": self.what.op, "error": why})
        self.guard.wait(AWAY_SECONDS)
