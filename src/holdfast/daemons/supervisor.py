"""Keeps the managed servers of this machine running.

A server that does not start is retried with growing pauses, and its addon shows the reason.
"""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from holdfast.catalog import addons
from holdfast.catalog.schema import Addon
from holdfast.catalog.work import operation_queries
from holdfast.domain.addon import AddonStatus, Desired
from holdfast.domain.errors import Failure
from holdfast.domain.operation import IN_PLACE, KEEPING, RESTORING, TAKING, Kind
from holdfast.kit.backoff import GrowingPauses
from holdfast.kit.locks import try_exclusive
from holdfast.usecases.hosting import managed_servers
from holdfast.usecases.toolbox import Toolbox, home_of, server_of

log = logging.getLogger(__name__)

_LIFECYCLE = frozenset(Kind) - TAKING - RESTORING - KEEPING
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # seconds
_STOPPED_AT_ONCE = 8
"""A hundred servers one after the other would take longer than an init system waits."""


class Supervisor:
    def __init__(self, tools: Toolbox, lock: Path) -> None:
        self._tools = tools
        self._lock = lock
        self._lock_file: IO[bytes] | None = None
        self._pauses = GrowingPauses[int](tools.clock.monotonic, _FIRST_PAUSE, _LONGEST_PAUSE)

    def round(self) -> None:
        """Restarts servers that are down. One process of a machine supervises; when it dies another
        one takes the lock."""
        self._lock_file = self._lock_file or try_exclusive(self._lock)
        if self._lock_file is None:
            return
        with self._tools.catalog.read() as session:
            hosted = addons.hosted_here(session, self._tools.node, [Desired.RUNNING])
            session.expunge_all()
        for addon in hosted:
            if self._pauses.is_due(addon.pk) and not self.is_well(addon):
                self.restart(addon)

    def is_well(self, addon: Addon) -> bool:
        """Whether its process runs and its status is fine. Cheap: called every second."""
        engine = managed_servers.hostable(self._tools.engines(addon.kind))
        server = server_of(self._tools, addon)
        alive = engine.running(server) is not None and managed_servers.is_settled(server)
        return alive and addon.status == AddonStatus.RUNNING

    def restart(self, addon: Addon) -> None:
        """Starts the server unless an operation changes it; shows the result as its status."""
        with managed_servers.held(self._tools, addon):
            if self.is_being_changed(addon):
                return
            try:
                started = managed_servers.start(self._tools, addon, time.sleep)
            except Failure as error:
                self._pauses.postpone(addon.pk)
                self._show(addon, AddonStatus.ERROR, error.message)
                return
        self._pauses.forget(addon.pk)
        if started:
            log.warning("server was not running and was started", extra={"addon": addon.id})
        if addon.status in (AddonStatus.ERROR, AddonStatus.POST_DEPLOYMENT):
            self._show(addon, AddonStatus.RUNNING, None)

    def is_being_changed(self, addon: Addon) -> bool:
        """Whether its server must be left alone, as of now: the list of addons is older."""
        with self._tools.catalog.read() as session:
            fresh = addons.get(session, addon.pk)
            working = operation_queries.open_of_addon(session, addon.pk)
            kinds = {Kind(operation.kind) for operation in working}
            never_ran = fresh.status in (AddonStatus.PRE_DEPLOYMENT, AddonStatus.FAILED)
            if fresh.desired != Desired.RUNNING or never_ran or not kinds.isdisjoint(_LIFECYCLE):
                return True
            # A restore died between two renames; the attempt that takes over goes on or back.
            exchanging = not server_of(self._tools, fresh).directory.exists()
            return not kinds.isdisjoint(IN_PLACE) and exchanging

    def _show(self, addon: Addon, status: AddonStatus, reason: str | None) -> None:
        if (addon.status, addon.reason) != (status, reason):
            with self._tools.catalog.write() as session:
                row = addons.get(session, addon.pk)
                row.status, row.reason = status, reason

    def stop_all(self) -> None:
        """Stops every server of this machine cleanly, whatever its owner wants it to be. The next
        start of the worker starts those that should run."""
        if self._lock_file is None:
            return
        with self._tools.catalog.read() as session:
            hosted = addons.hosted_here(session, self._tools.node, Desired)
            session.expunge_all()
        with ThreadPoolExecutor(_STOPPED_AT_ONCE) as pool:
            pool.map(self._stop, hosted)
        self._lock_file.close()

    def _stop(self, addon: Addon) -> None:
        if not home_of(self._tools.data_dir, addon.uid).exists():
            return  # never made, or removed already
        try:
            with managed_servers.held(self._tools, addon):
                managed_servers.dismiss_waiting(self._tools, addon)
                managed_servers.stop(self._tools, addon)
        except Exception:  # trouble with one is no reason to leave the others running
            log.exception("server was left running", extra={"addon": addon.id})
