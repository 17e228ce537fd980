"""Archives the logs of servers: one thread an addon, under a lease that another worker can take.

A lease is over when its beat, by the database's clock, is older than a worker may be silent. Its
holder learns that in the next transaction and stops; the server ends its session when a successor
connects.
"""

import logging
import threading
from dataclasses import dataclass
from functools import partial

from holdfast.catalog import addons
from holdfast.catalog.archiving import archives
from holdfast.catalog.archiving.archives import Lease
from holdfast.catalog.database.session import CatalogAway
from holdfast.catalog.schema import Addon, ArchiveRow
from holdfast.contracts.archive import Naming
from holdfast.domain.addon import Desired
from holdfast.domain.errors import Failure, FencedOff, Interrupted, LogRemoved, OtherHistory
from holdfast.domain.units import DAY_MS
from holdfast.kit.backoff import GrowingPauses
from holdfast.kit.processes.guard import Guard
from holdfast.usecases.archiving import archives as verbs
from holdfast.usecases.archiving.names import NameKeeper
from holdfast.usecases.archiving.receiver import Receiver
from holdfast.usecases.toolbox import Toolbox

log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 15.0
_STOP_SECONDS = 10.0
_CONNECT_SECONDS = 60.0
"""A server may take so long to let us in."""
_BASE_EVERY_SECONDS = 600.0
"""Pause between two orders of a snapshot, so that a failing one is not repeated at once."""


@dataclass
class _Serving:
    """One archive that this process receives, by the settings that it had when that began."""

    thread: threading.Thread
    guard: Guard
    lease: Lease
    settings: tuple[object, ...]
    ticked: float
    """When its thread last got on, by the monotonic clock: no lease is kept for one that hangs."""


def _settings(archive: ArchiveRow, addon: Addon) -> tuple[object, ...]:
    """What a receiver is told once: with another it begins anew."""
    login = (addon.user, addon.sealed_password, dict(addon.options))
    return (archive.since, archive.interval_s, addon.host, addon.port, *login)


class Archivist:
    """`worker` is the holder's name; a lease is over when it was silent for `dead` seconds."""

    def __init__(self, tools: Toolbox, worker: str, dead: float) -> None:
        self._tools = tools
        self._worker = worker
        self._dead_ms = round(dead * 1000)
        self._hangs_after = max(dead, _CONNECT_SECONDS)
        self._serving: dict[int, _Serving] = {}
        self._pauses = GrowingPauses[int](
            tools.clock.monotonic, _FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS
        )
        self._bases: dict[int, float] = {}

    def round(self) -> None:
        with self._tools.catalog.read() as session:
            rows = archives.to_serve(session, self._tools.node)
            session.expunge_all()
        self._serving = {pk: s for pk, s in self._serving.items() if s.thread.is_alive()}
        for archive, addon in rows:
            try:
                self._attend(archive, addon)
            except CatalogAway:
                raise
            except Exception:  # trouble with one is no reason to leave the others
                log.exception("an archive was not attended to", extra={"addon": addon.id})

    def _attend(self, archive: ArchiveRow, addon: Addon) -> None:
        serving = self._serving.get(archive.pk)
        living = addon.deleted is None and archive.wanted
        runs = addon.desired == Desired.RUNNING
        if serving is None and not living:
            self._release(archive, addon)
        elif serving is None:
            if runs and self._pauses.is_due(archive.pk):
                self._begin(archive, addon)
        elif not living:
            serving.guard.stop(Interrupted("it is archived no more"))
        elif not runs:  # a server that stops waits for those who follow it
            serving.guard.stop(Interrupted("its server is to stop"))
        elif serving.settings != _settings(archive, addon):
            serving.guard.stop(Interrupted("its settings changed"))
        else:
            self._beat(serving)
            self._order_base(archive, addon)

    def stop(self) -> None:
        deadline = self._tools.clock.monotonic() + _STOP_SECONDS
        for serving in self._serving.values():
            serving.guard.stop(Interrupted("the worker is stopping"))
        for serving in self._serving.values():
            serving.thread.join(max(0.0, deadline - self._tools.clock.monotonic()))

    def _begin(self, archive: ArchiveRow, addon: Addon) -> None:
        with self._tools.catalog.write() as session:
            fence = archives.take(session, archive.pk, self._worker, self._dead_ms)
        if fence is None:
            return
        lease, guard = Lease(archive.pk, self._worker, fence), Guard(self._tools.clock)
        thread = threading.Thread(name=f"archive-{archive.pk}", daemon=True)
        began = self._tools.clock.monotonic()
        serving = _Serving(thread, guard, lease, _settings(archive, addon), began)
        thread.run = partial(self._serve, archive, addon, serving)
        self._serving[archive.pk] = serving
        thread.start()

    def _beat(self, serving: _Serving) -> None:
        if self._tools.clock.monotonic() - serving.ticked > self._hangs_after:
            serving.guard.stop(Interrupted("its thread hangs"))
            return
        try:
            with self._tools.catalog.write() as session:
                serving.lease.prove(session)
        except FencedOff as error:
            serving.guard.stop(error)

    def _serve(self, archive: ArchiveRow, addon: Addon, serving: _Serving) -> None:
        """Receives until something ends it, and writes why."""
        reason, lease, guard = "", serving.lease, serving.guard
        try:
            engine = verbs.require_followable(self._tools.engines(addon.kind))
            address = addons.working_address(addon, self._tools.sealer)
            layout = verbs.layout_of(self._tools, archive, addon)
            names = NameKeeper(self._tools, archive.pk, archive.interval_s, layout, address)

            def tick() -> None:
                serving.ticked = self._tools.clock.monotonic()
                if isinstance(engine, Naming):
                    names.tick(engine)

            with engine.follow(address, archive.slot, guard) as following:
                Receiver(self._tools, archive, addon, layout, lease, tick).run(following)
        except (FencedOff, Interrupted):
            self._pauses.forget(archive.pk)
        except (LogRemoved, OtherHistory) as error:
            reason = error.message
            self._pauses.forget(archive.pk)
        except Failure as error:
            reason = error.message
            self._pauses.postpone(archive.pk)
        except CatalogAway as error:
            log.warning("the catalogue is away", extra={"error": str(error.orig)})
            self._pauses.postpone(archive.pk)
        except Exception as error:
            reason = f"internal error: {type(error).__name__}"
            log.exception("archiving failed in an unknown way", extra={"addon": addon.id})
            self._pauses.postpone(archive.pk)
        finally:
            if reason and reason != archive.reason:  # not at each attempt
                extra = {"addon": addon.id, "error": reason}
                log.warning("a log is not archived any more", extra=extra)
            self._leave(lease, reason)

    def _leave(self, lease: Lease, reason: str) -> None:
        try:
            with self._tools.catalog.write() as session:
                if reason:
                    lease.prove(session, state=archives.WAITING, reason=reason)
                lease.leave(session)
        except (FencedOff, *CatalogAway) as error:
            log.info("the lease was not given back", extra={"error": str(error)})

    def _order_base(self, archive: ArchiveRow, addon: Addon) -> None:
        """A window begins with a snapshot: every line gets one soon after it begins, another when a
        part of the log is lost, and one every `days`, so that older log need not stay."""
        now, moment = self._tools.clock.now(), self._tools.clock.monotonic()
        with self._tools.catalog.read() as session:
            line = archives.current_line(session, archive.pk)
            if line is None:
                return
            lost = archives.lost_since(session, line.pk) or 0
            since = max(line.since, lost, now - archive.days * DAY_MS)
            line_pk, coming = line.pk, archives.is_base_coming(session, addon.pk, since)
        if coming or moment - self._bases.get(line_pk, -_BASE_EVERY_SECONDS) < _BASE_EVERY_SECONDS:
            return
        self._bases[line_pk] = moment
        with self._tools.catalog.write() as session:
            if verbs.order_base(session, self._tools, addon, archive, since):
                log.info("a snapshot begins a window", extra={"addon": addon.id})

    def _release(self, archive: ArchiveRow, addon: Addon) -> None:
        """Lets the server go. A server that is gone keeps nothing for us."""
        if not self._pauses.is_due(archive.pk):
            return
        with self._tools.catalog.write() as session:
            fence = archives.take(session, archive.pk, self._worker, self._dead_ms)
        if fence is None:
            return
        lease, state, reason = Lease(archive.pk, self._worker, fence), archives.OFF, None
        try:
            if addon.deleted is None or not addon.managed:
                engine = verbs.require_followable(self._tools.engines(addon.kind))
                engine.release(addons.working_address(addon, self._tools.sealer), archive.slot)
        except Failure as error:
            self._pauses.postpone(archive.pk)
            state, reason = (
                archives.WAITING,
                (
                    f"the slot could not be dropped ({error.message}); if the server is another one"
                    f" now: SELECT pg_drop_replication_slot('{archive.slot}')"
                ),
            )
        with self._tools.catalog.write() as session:
            lease.prove(session, state=state, reason=reason)
            lease.leave(session)
