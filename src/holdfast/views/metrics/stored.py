"""Bytes in each store, counted now and then: no other number takes a look at all copies."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.catalog import destinations
from holdfast.catalog.database.session import Catalog, ReadSession
from holdfast.catalog.storage import copies
from holdfast.kit.clock import Clock

PLATFORM = "platform"
"""The name of the installation's own store, beside the ids of destinations."""

_MIN_PAUSE_SECONDS = 60.0
_PATIENCE_SECONDS = 0.05
"""How long a page waits for a count: that of a small installation is over by then."""
_PAUSES_PER_COUNT = 100
"""A count that takes a second is made at most every 100, so it takes a hundredth of the time."""


@dataclass(frozen=True, slots=True)
class StoredByAddon:
    """An addon's good copies in one store, how many and how large together; `addon_pk` may be that
    of a deleted addon whose backups are kept."""

    addon_pk: int
    store: str
    copies: int
    bytes: int


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
                self._rows = count(session)
                ended = self._clock.monotonic()
                pause = max(_MIN_PAUSE_SECONDS, _PAUSES_PER_COUNT * (ended - began))
                self._next = ended + pause
            return self._rows


def count(session: ReadSession) -> list[StoredByAddon]:
    """Counts the good copies of every addon, deleted ones too, in every store."""
    rows = copies.bytes_by_addon_and_store(session)
    pks = {destination_pk for _, destination_pk, _, _ in rows if destination_pk is not None}
    ids = destinations.ids_of(session, pks)
    return [
        StoredByAddon(addon_pk, PLATFORM if pk is None else ids[pk], number, size)
        for addon_pk, pk, number, size in rows
    ]
