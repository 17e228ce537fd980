"""Reads stored dumps in whole, so that a byte that turned is known before somebody needs it.

Packs of snapshots are read by inventories, a share at a time. A dump has one digest for all of it,
so it is read from end to end: at each place one after the other, those first that somebody (a
deletion that waits for it, or a person) asked for. The others are due when half of the time has
passed in which everything is to be read, and are read at a pace that needs half of the rest: what
is stored today is read within the whole time, however much of it is due at once. A reading that is
cut off begins anew; it holds up nobody, because each place has its own thread.
"""

import logging
import threading

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

_READS_A_TURN = 500
_AGAIN_MS = 600_000
"""After a store that did not answer."""
_SLOWEST = 8 << 10
"""KiB per second. Slower than any disk, and still more than 20 TB a month."""
_WAIT_SECONDS = 1.0


class Reader:
    """`within_ms`: in that time the bytes of every dump are read once; 0: only when asked."""

    def __init__(self, tools: Toolbox, within_ms: int) -> None:
        self._tools = tools
        self._within_ms = within_ms
        self._lanes = Lanes("reader")

    def round(self) -> None:
        now = self._tools.clock.now()
        with self._tools.catalog.read() as session:
            places = dump_checks.places_to_read(session, now, self._before(now))
        for place in places:
            self._lanes.start(place, lambda place=place: self._turn(place))
        self._lanes.wait(_WAIT_SECONDS)

    def _before(self, now: int) -> int | None:
        return now - self._within_ms // 2 if self._within_ms else None

    def _turn(self, place: int | None) -> None:
        for _ in range(_READS_A_TURN):
            now = self._tools.clock.now()
            with self._tools.catalog.read() as session:
                copy = dump_checks.next_to_read(session, place, now, self._before(now))
                rate = (
                    self._rate(dump_checks.bytes_at(session, place)) if copy is not None else None
                )
                evidence = backups.with_evidence(session, copy.backup_pk).evidence if copy else None
                session.expunge_all()
            if copy is None:
                return
            with self._tools.catalog.write() as session:
                mine = dump_checks.take(session, copy.pk, now)
            if mine:
                paced = rate if copy.read_asked is None else None
                self._read(copy, evidence or {}, now, paced)

    def _rate(self, stored: int) -> int:
        """KiB per second at which all of it takes a quarter of the time there is."""
        return max(_SLOWEST, 4 * stored // max(1, self._within_ms) * 1000 // 1024)

    def _read(self, copy: Copy, evidence: Document, began: int, rate: int | None) -> None:
        """What could not be read is tried again later, and says so; it is not lost for that."""
        try:
            store = self._tools.open_store(copy.destination_pk)
            moved = _Progress(self._tools, copy.pk, began + dump_checks.LEASE_MS, rate).moved
            problem = dump_check.flaw(store, copy.objects or "", evidence, moved)
        except FencedOff:
            return  # another process reads it, and says what it found
        except Failure as failure:
            log.warning("a dump could not be read", extra={"copy": copy.pk, "why": failure.message})
            with self._tools.catalog.write() as session:
                dump_checks.try_later(session, copy.pk, self._tools.clock.now() + _AGAIN_MS)
            return
        now = self._tools.clock.now()
        with self._tools.catalog.write() as session:
            if problem is None:
                deletion.found_right(session, copy.pk, began, now)
            else:
                deletion.spoil(session, copy.pk, problem, now)


def _sleep(seconds: float) -> None:
    threading.Event().wait(seconds)


class _Progress:
    """Holds the pace, and the lease while it goes on."""

    def __init__(self, tools: Toolbox, copy_pk: int, until: int, rate: int | None) -> None:
        self._tools = tools
        self._copy_pk = copy_pk
        self._until = until
        self._pace = Pace(rate, _sleep)

    def moved(self, count: int) -> None:
        """FencedOff when another process took the reading over."""
        self._pace.moved(count)
        now = self._tools.clock.now()
        if now > self._until - dump_checks.LEASE_MS // 2:
            with self._tools.catalog.write() as session:
                if not dump_checks.hold_on(session, self._copy_pk, self._until, now):
                    raise FencedOff
            self._until = now + dump_checks.LEASE_MS
