"""The client: one object, one attribute per noun, and the waits."""

from collections.abc import Callable, Collection
from types import TracebackType
from typing import Self

from holdfast.client.access import Roles, Tokens
from holdfast.client.addons import Addons
from holdfast.client.audit import Audit
from holdfast.client.backups import Backups
from holdfast.client.destinations import Destinations
from holdfast.client.imports import Imports
from holdfast.client.models import About, Addon, Backup, Document, Restore
from holdfast.client.parse import parsed
from holdfast.client.projects import Projects
from holdfast.client.restores import Restores
from holdfast.client.retention import Retention
from holdfast.client.schedules import Schedules
from holdfast.client.transport import Link, Transport, path_of
from holdfast.client.waiting import Patience, Waiter, ignore
from holdfast.kit.seal import Secret

BROKEN = frozenset({"failed", "error", "errorAllocating", "deleted"})
"""Addon states in which waiting for a better one is pointless."""


class Client:
    """Talks to one server as one token. Use as a context manager, from one thread at a time."""

    def __init__(self, host: str, token: Secret | None = None, link: Link | None = None) -> None:
        self._transport = Transport(host, token, link or Link())
        self.projects = Projects(self._transport)
        self.addons = Addons(self._transport)
        self.backups = Backups(self._transport)
        self.imports = Imports(self._transport)
        self.restores = Restores(self._transport)
        self.schedules = Schedules(self._transport)
        self.retention = Retention(self._transport)
        self.destinations = Destinations(self._transport)
        self.tokens = Tokens(self._transport)
        self.roles = Roles(self._transport)
        self.audit = Audit(self._transport)

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
        self._transport.close()

    @property
    def host(self) -> str:
        return self._transport.host

    def login(self) -> None:
        """Returns when the server knows the token; raises Unauthenticated when it does not."""
        self._transport.get(path_of("login"))

    def about(self) -> About:
        return parsed(About, self._transport.get(path_of("about")))

    def live(self) -> Document:
        return parsed(Document, self._transport.get("/healthz"))

    def ready(self) -> Document:
        """Raises ServerFault when the server runs but cannot work."""
        return parsed(Document, self._transport.get("/readyz"))

    def wait_for_backup(
        self,
        project: str,
        addon: str,
        backup: str,
        patience: Patience | None = None,
        on_progress: Callable[[Backup], None] = ignore,
    ) -> Backup:
        """Returns the backup when it has ended, well or not. Raises TimedOut."""
        return self._waiter(patience).until(
            lambda: self.backups.get(project, addon, backup), lambda b: b.ended, on_progress
        )

    def wait_for_restore(
        self,
        project: str,
        addon: str,
        restore: str,
        patience: Patience | None = None,
        on_progress: Callable[[Restore], None] = ignore,
    ) -> Restore:
        """Returns the restore when it has ended, well or not. Raises TimedOut."""
        return self._waiter(patience).until(
            lambda: self.restores.get(project, addon, restore), lambda r: r.ended, on_progress
        )

    def wait_for_addon(
        self,
        project: str,
        addon: str,
        wanted: Collection[str] = ("running",),
        patience: Patience | None = None,
        on_progress: Callable[[Addon], None] = ignore,
    ) -> Addon:
        """Returns the addon in a wanted state or a broken one; look which. Raises TimedOut."""
        ends = BROKEN | set(wanted)
        return self._waiter(patience).until(
            lambda: self.addons.get(project, addon), lambda a: a.status in ends, on_progress
        )

    def _waiter(self, patience: Patience | None) -> Waiter:
        return Waiter(self._transport.link, patience or Patience())
