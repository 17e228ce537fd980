"""The clients, blocking and asyncio: one attribute per noun, and the waiting calls."""

from collections.abc import Callable, Collection
from types import TracebackType
from typing import Self

from holdfast.client import addons, backups, restores
from holdfast.client.access import Roles, Tokens, Users, WebSessions
from holdfast.client.alarms import Alarms, Channels, Deliveries
from holdfast.client.audit import AuditLog
from holdfast.client.destinations import Destinations
from holdfast.client.imports import Imports
from holdfast.client.models.models import About, Addon, Backup, Document, Restore
from holdfast.client.monitors import Monitors
from holdfast.client.projects import Projects
from holdfast.client.proof import drills
from holdfast.client.proof.drills import Drill, Drills
from holdfast.client.proof.protection import Protections
from holdfast.client.retention import Retention
from holdfast.client.schedules import Schedules
from holdfast.client.streams import awaited, blocking
from holdfast.client.transport.async_transport import AsyncTransport
from holdfast.client.transport.calls import Awaiting, Blocking, Noun, R, Steps, call, get
from holdfast.client.transport.parse import parsed
from holdfast.client.transport.transport import Link, Transport, path_of
from holdfast.client.transport.waiting import Patience, Waiter, ignore
from holdfast.kit.seal import Secret

BROKEN = frozenset({"failed", "error", "errorAllocating", "deleted"})
"""Addon states in which waiting for a better one is pointless."""


class _Calls(Noun[R]):
    """The calls of both clients."""

    def __init__(self, runner: R) -> None:
        super().__init__(runner)
        self.projects = Projects(runner)
        self.imports = Imports(runner)
        self.schedules = Schedules(runner)
        self.retention = Retention(runner)
        self.destinations = Destinations(runner)
        self.tokens = Tokens(runner)
        self.roles = Roles(runner)
        self.users = Users(runner)
        self.sessions = WebSessions(runner)
        self.audit = AuditLog(runner)
        self.protection = Protections(runner)
        self.drills = Drills(runner)
        self.alarms = Alarms(runner)
        self.channels = Channels(runner)
        self.deliveries = Deliveries(runner)
        self.monitors = Monitors(runner)

    @property
    def host(self) -> str:
        return self.runner.transport.host

    @call
    def login(self) -> Steps[None]:
        """Checks the token. Raises Unauthenticated when the server does not know it."""
        yield from get(path_of("login"))

    @call
    def about(self) -> Steps[About]:
        return parsed(About, (yield from get(path_of("about"))))

    @call
    def live(self) -> Steps[Document]:
        return parsed(Document, (yield from get("/healthz")))

    @call
    def ready(self) -> Steps[Document]:
        """Raises ServerFault when the server runs but cannot work."""
        return parsed(Document, (yield from get("/readyz")))

    @call
    def wait_for_backup(
        self,
        project: str,
        addon: str,
        backup: str,
        patience: Patience | None = None,
        on_progress: Callable[[Backup], None] = ignore,
    ) -> Steps[Backup]:
        """Returns the backup when it has ended, well or not. Raises TimedOut."""
        return (
            yield from self._waiter(patience).until(
                lambda: backups.one(project, addon, backup), lambda b: b.ended, on_progress
            )
        )

    @call
    def wait_for_restore(
        self,
        project: str,
        addon: str,
        restore: str,
        patience: Patience | None = None,
        on_progress: Callable[[Restore], None] = ignore,
    ) -> Steps[Restore]:
        """Returns the restore when it has ended, well or not. Raises TimedOut."""
        return (
            yield from self._waiter(patience).until(
                lambda: restores.find(project, addon, restore), lambda r: r.ended, on_progress
            )
        )

    @call
    def wait_for_drill(
        self,
        project: str,
        addon: str,
        drill: str,
        patience: Patience | None = None,
        on_progress: Callable[[Drill], None] = ignore,
    ) -> Steps[Drill]:
        """Returns the drill when it came to its verdict, or to none. Raises TimedOut."""
        return (
            yield from self._waiter(patience).until(
                lambda: drills.one(project, addon, drill), lambda d: d.ended, on_progress
            )
        )

    @call
    def wait_for_addon(
        self,
        project: str,
        addon: str,
        states: Collection[str] = ("running",),
        patience: Patience | None = None,
        on_progress: Callable[[Addon], None] = ignore,
    ) -> Steps[Addon]:
        """Returns the addon in one of these states or in a broken one. Raises TimedOut."""
        ends = BROKEN | set(states)
        return (
            yield from self._waiter(patience).until(
                lambda: addons.one(project, addon), lambda a: a.status in ends, on_progress
            )
        )

    def _waiter(self, patience: Patience | None) -> Waiter:
        return Waiter(self.runner.transport.link.clock, patience or Patience())


def _secret(token: Secret | str | None) -> Secret | None:
    return Secret(token) if isinstance(token, str) else token


class Client(_Calls[Blocking]):
    """A client with one token. Use it as a context manager, from one thread at a time."""

    def __init__(
        self, host: str, token: Secret | str | None = None, link: Link | None = None
    ) -> None:
        super().__init__(Blocking(Transport(host, _secret(token), link or Link())))
        self.addons = blocking.Addons(self.runner)
        self.backups = blocking.Backups(self.runner)
        self.proof = blocking.Reports(self.runner)
        self.restores = blocking.Restores(self.runner)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self.runner.transport.close()


class AsyncClient(_Calls[Awaiting]):
    """A client for asyncio: calls are awaited, lists and logs iterated with `async for`."""

    def __init__(
        self, host: str, token: Secret | str | None = None, link: Link | None = None
    ) -> None:
        super().__init__(Awaiting(AsyncTransport(host, _secret(token), link or Link())))
        self.addons = awaited.Addons(self.runner)
        self.backups = awaited.Backups(self.runner)
        self.proof = awaited.Reports(self.runner)
        self.restores = awaited.Restores(self.runner)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self.runner.transport.close()
