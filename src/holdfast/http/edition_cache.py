"""Values read from the catalogue, kept for a moment while it does not change."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from holdfast.catalog.database.edition import Edition
from holdfast.catalog.database.session import Catalog
from holdfast.http.limits.turns import Turns
from holdfast.kit.clock import Clock

V = TypeVar("V")

_CACHE_MS = 1000


@dataclass(frozen=True, slots=True)
class _Entry(Generic[V]):
    edition: int
    at: int
    value: V


class EditionCache(Generic[V]):
    """Values by key. Another edition of the catalogue is read anew, so that what is revoked is
    refused at once. For the event loop's thread."""

    def __init__(
        self, catalog: Catalog, clock: Clock, turns: Turns, is_valid: Callable[[V, int], bool]
    ) -> None:
        """`is_valid`: whether a value still counts at an instant, in ms since 1970."""
        self._edition = Edition(catalog)
        self._clock = clock
        self._turns = turns
        self._is_valid = is_valid
        self._entries: dict[str, _Entry[V]] = {}

    async def get(self, key: str, read: Callable[[int], V]) -> V:
        """Returns the value; `read` gets the present instant, and may block."""
        now, edition = self._clock.now(), self._edition.number()

        def is_fresh(entry: _Entry[V]) -> bool:
            recent = entry.edition == edition and 0 <= now - entry.at < _CACHE_MS
            return recent and self._is_valid(entry.value, now)

        entry = self._entries.get(key)
        if entry is not None and is_fresh(entry):
            return entry.value
        self._entries = {key: entry for key, entry in self._entries.items() if is_fresh(entry)}
        value = await self._turns.run(partial(read, now))
        if edition is not None and self._is_valid(value, now):
            self._entries[key] = _Entry(edition, now, value)
        return value
