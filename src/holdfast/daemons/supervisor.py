"""Keeps the managed servers of this machine running: adopts, restarts, reports.

A server that does not come back is tried again with growing pauses, and its addon says why.
"""

import logging
import time
from pathlib import Path
from typing import IO

from holdfast.catalog import addons
from holdfast.catalog.schema import Addon
from holdfast.catalog.work import operations
from holdfast.contracts.local_servers import LocalServer
from holdfast.domain.addon import AddonStatus, Desired
from holdfast.domain.errors import Failure
from holdfast.domain.operation import KEEPING, RESTORING, TAKING, Kind
from holdfast.kit.locks import try_exclusive
from holdfast.usecases.hosting import managed_servers
from holdfast.usecases.toolbox import Toolbox, home_of, place_of

log = logging.getLogger(__name__)

_LIFECYCLE = frozenset(Kind) - TAKING - RESTORING - KEEPING
_LONGEST_PAUSE = 60.0


class Supervisor:
    def __init__(self, tools: Toolbox, lock: Path) -> None:
        self._tools = tools
        self._lock = lock
        self._held: IO[bytes] | None = None
        self._pauses: dict[int, tuple[float, float]] = {}

    def round(self) -> None:
        """One process of a machine supervises; when it dies the next one takes the lock."""
        self._held = self._held or try_exclusive(self._lock)
        if self._held is not None:
            self._look_after_all()

    def _look_after_all(self) -> None:
        with self._tools.catalog.read() as session:
            here = addons.hosted_here(session, self._tools.node, [Desired.RUNNING])
            session.expunge_all()
        for addon in here:
            due = self._tools.clock.monotonic() >= self._pauses.get(addon.pk, (0.0, 0.0))[0]
            if due and not self._is_well(addon):
                self._look_after(addon)

    def _is_well(self, addon: Addon) -> bool:
        """Cheap, because it is asked all the time: is the process there, and was it fine?"""
        server, place = (
            managed_servers.hostable(self._tools.engines(addon.kind)),
            self._place(addon),
        )
        alive = server.running(place) is not None and managed_servers.is_settled(place)
        return alive and addon.status == AddonStatus.RUNNING

    def _place(self, addon: Addon) -> LocalServer:
        return place_of(self._tools, addon)

    def _look_after(self, addon: Addon) -> None:
        with managed_servers.held(self._tools, addon):
            if self._is_being_changed(addon):
                return
            try:
                started = managed_servers.start(self._tools, addon, time.sleep)
            except Failure as error:
                self._pause(addon)
                self._show(addon, AddonStatus.ERROR, error.message)
                return
        self._pauses.pop(addon.pk, None)
        if started:
            log.warning("server was not running and was started", extra={"addon": addon.id})
        if addon.status in (AddonStatus.ERROR, AddonStatus.POST_DEPLOYMENT):
            self._show(addon, AddonStatus.RUNNING, None)

    def _is_being_changed(self, addon: Addon) -> bool:
        """Judged again under the lock: the list is older."""
        with self._tools.catalog.read() as session:
            fresh = addons.get(session, addon.pk)
            working = operations.open_of_addon(session, addon.pk)
            kinds = {Kind(operation.kind) for operation in working}
            never_ran = fresh.status in (AddonStatus.PRE_DEPLOYMENT, AddonStatus.FAILED)
            return (
                fresh.desired != Desired.RUNNING
                or never_ran
                or not kinds.isdisjoint(_LIFECYCLE)
                or (Kind.REWIND in kinds and self._is_being_exchanged(fresh))
            )

    def _is_being_exchanged(self, addon: Addon) -> bool:
        """A restore died between two renames; who takes it over goes on or goes back."""
        return not place_of(self._tools, addon).directory.exists()

    def _pause(self, addon: Addon) -> None:
        _, before = self._pauses.get(addon.pk, (0.0, 0.5))
        pause = min(2 * before, _LONGEST_PAUSE)
        self._pauses[addon.pk] = (self._tools.clock.monotonic() + pause, pause)

    def _show(self, addon: Addon, status: AddonStatus, reason: str | None) -> None:
        if (addon.status, addon.reason) != (status, reason):
            with self._tools.catalog.write() as session:
                row = addons.get(session, addon.pk)
                row.status, row.reason = status, reason

    def stop_all(self) -> None:
        """Stops every server cleanly, also those of addons that are to be paused or deleted: the
        others come back with the next start."""
        if self._held is None:
            return
        with self._tools.catalog.read() as session:
            here = addons.hosted_here(session, self._tools.node, Desired)
            session.expunge_all()
        for addon in here:
            try:
                self._stop(addon)
            except Exception:  # whatever one meets is no reason to leave the others running
                log.exception("server was left running", extra={"addon": addon.id})
        self._held.close()

    def _stop(self, addon: Addon) -> None:
        if not home_of(self._tools.data_dir, addon.uid).exists():
            return  # never made, or removed already
        with managed_servers.held(self._tools, addon):
            managed_servers.dismiss_waiting(self._tools, addon)
            managed_servers.stop(self._tools, addon)
