"""Finds the caller of a token.

A token is looked up for each request, unless it was a moment ago and the catalogue has not changed
since: so a token that is revoked, or whose role changed, is refused at once.
"""

from functools import partial

from holdfast.catalog import tokens
from holdfast.catalog.database.session import Catalog
from holdfast.catalog.tokens import Holder
from holdfast.domain.access import Caller
from holdfast.domain.errors import Unauthenticated
from holdfast.http.edition_cache import EditionCache
from holdfast.http.limits.turns import Turns
from holdfast.kit.clock import Clock
from holdfast.kit.seal import Secret


class Callers:
    """Callers by token. For the event loop's thread."""

    def __init__(self, catalog: Catalog, clock: Clock, turns: Turns) -> None:
        def is_valid(holder: Holder, now: int) -> bool:
            return not holder.stale and (holder.expires is None or now < holder.expires)

        self._catalog = catalog
        self._cache = EditionCache(catalog, clock, turns, is_valid)

    async def of(self, token: Secret) -> Caller:
        """Returns the caller. Raises Unauthenticated for an invalid token, without the reason."""
        holder = await self._cache.get(tokens.digest(token), partial(self._look_up, token))
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
