"""Reads stored dumps in whole, so that damage is known before a restore needs them.

Store checks read packs of snapshots, a share at a time. A dump has one digest for all of it, so it
is read from end to end: one dump after the other at each destination, requested ones first (by a
deletion that waits, or by a person). The others are due after half of `within_ms`, and are read at
a pace that needs half of the rest: so everything stored today is read within the whole time,
however much is due at once. A reading that is cut off begins anew. Each destination has its own
thread.
"""

import logging
import time

from holdfast.catalog import backups
from holdfast.catalog.schema import Copy, Document
from holdfast.catalog.storage import dump_checks
from holdfast.daemons.lanes import Lanes
from holdfast.domain.errors import Failure, FencedOff
from holdfast.kit.rate_limit import Pace
from holdfast.usecases.retention import deletion
from holdfast.usecases.store_check import dump_check
from holdfast.usecases.toolbox import Toolbox

log = logging.getLogger(__name__)

_READS_PER_TURN = 500
_RETRY_MS = 600_000
"""Pause after a store that did not answer."""
_MIN_RATE = 8 << 10
"""KiB per second: slower than any disk, and still more than 20 TB a month."""
_WAIT_SECONDS = 1.0


class Reader:
    """`within_ms`: in that time the bytes of every dump are read once; 0: on request only."""

    def __init__(self, tools: Toolbox, within_ms: int) -> None:
        self._tools = tools
        self._within_ms = within_ms
        self._lanes = Lanes("reader")

    def round(self) -> None:
        now = self._tools.clock.now()
        with self._tools.catalog.read() as session:
            destination_pks = dump_checks.destinations_to_read(session, now, self._before(now))
        for destination_pk in destination_pks:
            self._lanes.start(
                destination_pk, lambda destination_pk=destination_pk: self.read_due(destination_pk)
            )
        self._lanes.wait(_WAIT_SECONDS)

    def _before(self, now: int) -> int | None:
        """Dumps not read since this instant are due."""
        return now - self._within_ms // 2 if self._within_ms else None

    def read_due(self, destination_pk: int | None) -> None:
        """Reads due dumps at one destination, one after the other."""
        for _ in range(_READS_PER_TURN):
            now = self._tools.clock.now()
            with self._tools.catalog.read() as session:
                copy = dump_checks.next_to_read(session, destination_pk, now, self._before(now))
                stored = dump_checks.bytes_at(session, destination_pk) if copy else 0
                evidence = backups.with_evidence(session, copy.backup_pk).evidence if copy else None
                session.expunge_all()
            if copy is None:
                return
            with self._tools.catalog.write() as session:
                mine = dump_checks.take(session, copy.pk, now)
            if mine:
                # KiB per second that read all dumps in a quarter of the time; requests go unpaced.
                rate = max(_MIN_RATE, 4 * stored // max(1, self._within_ms) * 1000 // 1024)
                self.read(copy, evidence or {}, now, rate if copy.read_asked is None else None)

    def read(self, copy: Copy, evidence: Document, began: int, rate: int | None) -> None:
        """Reads one dump and records the result. A store that does not answer proves no damage, so
        the reading is retried later."""
        try:
            store = self._tools.open_store(copy.destination_pk)
            moved = _Progress(self._tools, copy.pk, began + dump_checks.LEASE_MS, rate).moved
            problem = dump_check.flaw(store, copy.objects or "", evidence, moved)
        except FencedOff:
            return  # another process reads it now, and records the result
        except Failure as failure:
            log.warning("a dump could not be read", extra={"copy": copy.pk, "why": failure.message})
            with self._tools.catalog.write() as session:
                dump_checks.try_later(session, copy.pk, self._tools.clock.now() + _RETRY_MS)
            return
        now = self._tools.clock.now()
        with self._tools.catalog.write() as session:
            if problem is None:
                deletion.found_right(session, copy.pk, began, now)
            else:
                deletion.spoil(session, copy.pk, problem, now)


class _Progress:
    """Keeps a reading at its pace and renews its lease."""

    def __init__(self, tools: Toolbox, copy_pk: int, until: int, rate: int | None) -> None:
        self._tools = tools
        self._copy_pk = copy_pk
        self._until = until
        self._pace = Pace(rate, time.sleep)

    def moved(self, count: int) -> None:
        """Waits if `count` bytes came too fast. FencedOff if another process took the reading
        over."""
        self._pace.moved(count)
        now = self._tools.clock.now()
        if now > self._until - dump_checks.LEASE_MS // 2:
            with self._tools.catalog.write() as session:
                if not dump_checks.hold_on(session, self._copy_pk, self._until, now):
                    raise FencedOff
            self._until = now + dump_checks.LEASE_MS
