"""Who asks: from a token to its caller.

A token is looked up for each request, unless it was a moment ago and nothing at all in the
catalogue has changed since: so one that is revoked, or whose role is changed, is refused at once.
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

_KEPT_MS = 1000


@dataclass(frozen=True, slots=True)
class _Kept:
    edition: int
    at: int
    holder: Holder

    def holds(self, edition: int | None, now: int) -> bool:
        expires = self.holder.expires
        fresh = self.edition == edition and 0 <= now - self.at < _KEPT_MS
        return fresh and (expires is None or now < expires)


class Callers:
    """Belongs to the event loop's thread."""

    def __init__(self, catalog: Catalog, clock: Clock, turns: Turns) -> None:
        self._catalog = catalog
        self._clock = clock
        self._turns = turns
        self._edition = Edition(catalog)
        self._kept: dict[str, _Kept] = {}

    async def of(self, token: Secret) -> Caller:
        """Raises Unauthenticated for a token that is not valid: it does not say why."""
        now, edition, digest = self._clock.now(), self._edition.number(), tokens.digest(token)
        kept = self._kept.get(digest)
        if kept is not None and kept.holds(edition, now):
            return kept.holder.caller
        self._kept = {key: each for key, each in self._kept.items() if each.holds(edition, now)}
        holder = await self._turns.run(partial(self._look_up, token, now))
        if edition is not None and not holder.stale:
            self._kept[digest] = _Kept(edition, now, holder)
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
