"""Job: one attempt of one operation, with its arguments, its log and its right to act."""

import logging
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar, cast

from holdfast.catalog import addons
from holdfast.catalog.database.session import CatalogAway, ReadSession, WriteSession
from holdfast.catalog.schema import Addon, Copy, Document
from holdfast.catalog.work import journal, leftovers, operations
from holdfast.contracts.engine import Address, Attempt, Engine
from holdfast.contracts.job_arguments import Arguments, ProjectArguments
from holdfast.contracts.local_servers import SETTLED
from holdfast.contracts.queue import Dispatch
from holdfast.domain.addon import Desired
from holdfast.domain.errors import AddonUnavailable, FencedOff
from holdfast.kit.processes.guard import Guard
from holdfast.kit.telemetry.traces import UNTRACED, Span
from holdfast.repositories.restic.locks import LockOwner
from holdfast.repositories.restic.repository import Repository
from holdfast.usecases.toolbox import Toolbox, server_of

log = logging.getLogger(__name__)
A = TypeVar("A", bound=Arguments)

AWAY_SECONDS = 1.0
"""Pause between two tries to reach a catalogue that is away."""

SETTLE_SECONDS = 300.0
"""Time for the supervisor to replace the administrator of an older version's server."""


@dataclass(frozen=True)
class Job:
    """One attempt of one operation. `dispatch` says which, `guard` stops it."""

    tools: Toolbox
    dispatch: Dispatch
    addon: Addon
    arguments: Mapping[str, object]
    guard: Guard
    over: bool = False
    """Whether the operation has ended and only its leftovers are being removed."""
    span: Span = UNTRACED
    """The trace of this attempt."""
    opened: dict[int | None, Repository] = field(default_factory=dict[int | None, Repository])
    """Its repositories by destination: opening one reads its whole index."""
    parsed: dict[type[Arguments], Arguments] = field(
        default_factory=dict[type[Arguments], Arguments]
    )

    def parse(self, model: type[A]) -> A:
        """The arguments as the model of this kind of job; validated once."""
        if model not in self.parsed:
            self.parsed[model] = model.model_validate(self.arguments)
        return cast("A", self.parsed[model])

    @property
    def attempt(self) -> Attempt:
        tag = f"{self.dispatch.op[:10]}_{self.dispatch.fence}"
        return Attempt(
            self.dispatch.op,
            tag,
            self.say,
            keep_others=not self.addon.managed,
            number=self.dispatch.fence,
            confirm=self.require_hold,
            sealer=self.tools.sealer,
        )

    @property
    def inherits(self) -> bool:
        """Whether an earlier attempt may have died, so that this one removes its leftovers."""
        return self.dispatch.fence > 1 and not self.over

    @property
    def sign(self) -> LockOwner:
        """The signature of this attempt's locks in a repository."""
        return LockOwner(self.dispatch.op, self.dispatch.fence)

    def say(self, text: str) -> None:
        """Writes a line to the operation's log. FencedOff if another attempt has taken over."""
        now = self.tools.clock.now()

        def write(session: WriteSession) -> bool:
            if not self.over and not operations.holds(session, self.dispatch):
                return False
            journal.write(session, self.dispatch.op, now, text)
            return True

        self._insist(write)

    def _is_ours(self, session: ReadSession) -> bool:
        ask = leftovers.cleans if self.over else operations.holds
        return ask(session, self.dispatch)

    def require_hold(self) -> None:
        """Raises FencedOff if another attempt has taken over or the operation has ended.

        The answer may change at once. Before destroying anything, hold something that keeps other
        attempts out: a lock of this machine, or a session that a successor would end first.
        """
        self._insist(self._is_ours)

    def change(self, work: Callable[[WriteSession], None]) -> None:
        """Changes rows if this attempt may act; else FencedOff, and nothing is changed."""

        def write(session: WriteSession) -> bool:
            operations.locked(session, self.dispatch.op)
            if not self._is_ours(session):
                return False
            work(session)
            return True

        self._insist(write)

    @contextmanager
    def holding(self, lock: AbstractContextManager[None]) -> Generator[None]:
        """Holds a lock that every attempt takes before it acts, and requires that this one may act.

        An attempt that is paused inside keeps its successors waiting until it goes on or dies; one
        that waited at the lock while a successor did the work is fenced off.
        """
        with lock:
            self.require_hold()
            yield

    def engine(self) -> Engine:
        return self.tools.engines(self.addon.kind)

    def address(self) -> Address:
        return addons.working_address(self.addon, self.tools.sealer)

    def repository(self, destination_pk: int | None) -> Repository:
        """The addon's own repository at a destination, created if there is none."""
        if destination_pk not in self.opened:
            self.opened[destination_pk] = self.tools.snapshot_repositories.ensure(
                self.parse(ProjectArguments).project,
                self.addon,
                destination_pk,
                self.tools.clock.now(),
            )
        return self.opened[destination_pk]

    def repository_of(self, copy: Copy) -> Repository:
        """The repository that holds a copy of a snapshot, of any addon."""
        if copy.addon_pk != self.addon.pk:
            return self.tools.snapshot_repositories.of_copy(copy)
        if copy.destination_pk not in self.opened:
            self.opened[copy.destination_pk] = self.tools.snapshot_repositories.of_copy(copy)
        return self.opened[copy.destination_pk]

    def require_running(self, *, enters: bool = True) -> None:
        """Raises AddonUnavailable for a paused addon, a better reason than a connection error.

        `enters`: the work needs a session on the server; exchanging its directory does not."""
        if self.addon.desired == Desired.PAUSED:
            raise AddonUnavailable("the addon is paused; resume it first")
        if self.addon.managed and enters:
            # After an upgrade our login works only once the supervisor replaced the administrator.
            directory = server_of(self.tools, self.addon).directory
            deadline = self.tools.clock.monotonic() + SETTLE_SECONDS
            while directory.exists() and not (directory / SETTLED).exists():
                if self.tools.clock.monotonic() > deadline:
                    problem = "the server still has the administrator of an older version"
                    raise AddonUnavailable(problem)
                self.guard.wait(AWAY_SECONDS)

    def moved(self, count: int) -> None:
        """Counts `count` bytes as progress; raises if the operation was told to stop."""
        self.guard.check()
        self.guard.moved(count)

    def save(self, step: str, record: Document) -> None:
        self._insist(lambda session: operations.save(session, self.dispatch, step, record))

    def _insist(self, change: Callable[[WriteSession], bool]) -> None:
        """Retries while the catalogue is away, until the job is stopped. False from `change`:
        FencedOff."""
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
        log.warning("catalogue away, trying again", extra={"op": self.dispatch.op, "error": why})
        self.guard.wait(AWAY_SECONDS)
