"""Finds the caller of a token.

A token is looked up for each request, unless it was a moment ago and the catalogue has not changed
since: so a token that is revoked, or whose role changed, is refused at once.
"""

from dataclasses import dataclass
from functools import partial

from holdfast.catalog import tokens
from holdfast.catalog.database.edition import Edition
from holdfast.catalog.database.session import Catalog
from holdfast.catalog.tokens import Holder
from holdfast.domain.access import Caller
from holdfast.domain.errors import Unauthenticated
from holdfast.http.limits.turns import Turns
from holdfast.kit.clock import Clock
from holdfast.kit.seal import Secret

_CACHE_MS = 1000


@dataclass(frozen=True, slots=True)
class _CachedHolder:
    edition: int
    at: int
    holder: Holder

    def is_valid(self, edition: int | None, now: int) -> bool:
        expires = self.holder.expires
        fresh = self.edition == edition and 0 <= now - self.at < _CACHE_MS
        return fresh and (expires is None or now < expires)


class Callers:
    """Cache of callers by token. For the event loop's thread."""

    def __init__(self, catalog: Catalog, clock: Clock, turns: Turns) -> None:
        self._catalog = catalog
        self._clock = clock
        self._turns = turns
        self._edition = Edition(catalog)
        self._cache: dict[str, _CachedHolder] = {}

    async def of(self, token: Secret) -> Caller:
        """Returns the caller. Raises Unauthenticated for an invalid token, without the reason."""
        now, edition, digest = self._clock.now(), self._edition.number(), tokens.digest(token)
        entry = self._cache.get(digest)
        if entry is not None and entry.is_valid(edition, now):
            return entry.holder.caller
        self._cache = {
            key: cached for key, cached in self._cache.items() if cached.is_valid(edition, now)
        }
        holder = await self._turns.run(partial(self._look_up, token, now))
        if edition is not None and not holder.stale:
            self._cache[digest] = _CachedHolder(edition, now, holder)
        return holder.caller

    def _look_up(self, token: Secret, now: int) -> Holder:
        with self._catalog.read() as session:
            holder = tokens.holder(session, token, now)
        if holder is None:
            raise Unauthenticated("the token is unknown, expired or revoked")
        if holder.stale:
            with self._catalog.write() as session:
                tokens.used(session, holder.caller.token_id, now)
        return holder
