"""Bytes in each store, counted now and then: no other number takes a look at all copies."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.catalog import destinations
from holdfast.catalog.database.session import Catalog, ReadSession
from holdfast.catalog.storage import copies
from holdfast.domain.units import DAY_MS
from holdfast.kit.clock import Clock

PLATFORM = "platform"
"""The name of the installation's own store, beside the ids of destinations."""

GROWTH_DAYS = 14
"""How far back growth is looked at."""

_MIN_PAUSE_SECONDS = 60.0
_PATIENCE_SECONDS = 0.05
"""How long a page waits for a count: that of a small installation is over by then."""
_FORESEEN_MS = 3653 * DAY_MS
_PAUSES_PER_COUNT = 100
"""A count that takes a second is made at most every 100, so it takes a hundredth of the time."""


@dataclass(frozen=True, slots=True)
class StoredByAddon:
    """An addon's good copies in one store: how many, how large together, and by how much that grew
    in the last `GROWTH_DAYS`; `addon_pk` may be that of a deleted addon whose backups are kept."""

    addon_pk: int
    store: str
    copies: int
    bytes: int
    growth: int = 0


class StoredBytes:
    """The last count, for any number of scrapes; the one that finds it old counts anew."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._rows: Sequence[StoredByAddon] = ()
        self._next: float | None = None
        self._counting: threading.Thread | None = None

    def recent(self, catalog: Catalog) -> Sequence[StoredByAddon] | None:
        """The last count, at once; an old one is counted anew meanwhile. None: the first one takes
        longer than a page waits."""
        if self._counting is None or not self._counting.is_alive():

            def count_anew() -> None:
                with catalog.read() as session:
                    self.rows(session)

            self._counting = threading.Thread(target=count_anew, name="stored-bytes", daemon=True)
            self._counting.start()
        self._counting.join(_PATIENCE_SECONDS)
        return None if self._next is None else self._rows

    def rows(self, session: ReadSession) -> Sequence[StoredByAddon]:
        with self._lock:
            began = self._clock.monotonic()
            if self._next is None or began >= self._next:
                self._rows = count(session, self._clock.now())
                ended = self._clock.monotonic()
                pause = max(_MIN_PAUSE_SECONDS, _PAUSES_PER_COUNT * (ended - began))
                self._next = ended + pause
            return self._rows


def count(session: ReadSession, now: int) -> list[StoredByAddon]:
    """Counts the good copies of every addon, deleted ones too, in every store."""
    rows = copies.totals_by_addon_and_store(session, now - GROWTH_DAYS * DAY_MS)
    pks = {row.destination_pk for row in rows if row.destination_pk is not None}
    names: dict[int | None, str] = {None: PLATFORM, **destinations.ids_of(session, pks)}
    return [
        StoredByAddon(row.addon_pk, names[row.destination_pk], row.copies, row.bytes, row.growth)
        for row in rows
    ]


def full_at(free_bytes: int, growth_bytes: int, now: int) -> int | None:
    """When a store that goes on to grow as in the last `GROWTH_DAYS` has no room left, in ms since
    1970; None: it does not grow, or not within ten years."""
    if growth_bytes <= 0:
        return None
    left_ms = GROWTH_DAYS * DAY_MS * free_bytes // growth_bytes
    return now + left_ms if left_ms < _FORESEEN_MS else None
