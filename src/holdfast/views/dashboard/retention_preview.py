"""What another retention would mean for an addon: the same pure rule, over changed expiries."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.storage import holdings
from holdfast.catalog.storage.holdings import Holding, Holdings
from holdfast.domain.retention.rules import Policy, expiry
from holdfast.views.retention import outlooks


@dataclass(frozen=True)
class Preview:
    """What would go at once, and the oldest good copy that stays; instants in ms since 1970."""

    copies: int
    bytes: int
    kept: int
    oldest_before: int | None
    oldest_after: int | None


def retentions(session: ReadSession, addon_pk: int) -> Sequence[int]:
    """The retentions in days that copies of the addon were made with."""
    present = _holdings(session, addon_pk).present
    return sorted({holding.retention for holding in present if holding.retention is not None})


def preview(
    session: ReadSession, addon_pk: int, days: tuple[int, int], now: int, policy: Policy
) -> Preview:
    """`days`: copies kept for the first number of days would be kept for the second."""
    before = _holdings(session, addon_pk)
    changed = replace(before, present=[_changed(holding, *days) for holding in before.present])
    stays_before, stays_after = _staying(before, now, policy), _staying(changed, now, policy)
    expiring = [holding for key, holding in stays_before.items() if key not in stays_after]
    return Preview(
        copies=len(expiring),
        bytes=sum(holding.size for holding in expiring),
        kept=len(stays_after),
        oldest_before=min((holding.taken for holding in stays_before.values()), default=None),
        oldest_after=min((holding.taken for holding in stays_after.values()), default=None),
    )


def _holdings(session: ReadSession, addon_pk: int) -> Holdings:
    return holdings.of_addons(session, [addon_pk]).get(addon_pk) or Holdings(addon_pk, [])


def _changed(holding: Holding, old_days: int, new_days: int) -> Holding:
    if holding.retention != old_days or holding.held.expires is None:
        return holding
    copy = replace(holding.held, expires=expiry(holding.taken, new_days))
    return replace(holding, held=copy, retention=new_days)


def _staying(addon_holdings: Holdings, now: int, policy: Policy) -> dict[int, Holding]:
    """The copies that the rule keeps, by their key."""
    return {
        holding.held.key: holding
        for holding, outlook in outlooks(addon_holdings, now, policy)
        if outlook.verdict.keep
    }
