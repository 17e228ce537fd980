"""The retention policy of this installation."""

from holdfast.domain.retention.rules import Policy
from holdfast.domain.units import DAY_MS, HOUR_MS
from holdfast.settings import Settings


def policy_of(settings: Settings) -> Policy:
    """The policy from the settings. `read_within` 0 turns off readings, but deletions still
    require one of the last 30 days and request it."""
    read_ms = round(settings.read_within * DAY_MS) or 30 * DAY_MS
    return Policy(
        share=settings.prune_share,
        grace_ms=round(settings.prune_grace * HOUR_MS),
        every_ms=round(settings.prune_every * 1000),
        history_ms=settings.history * DAY_MS,
        read_ms=read_ms,
    )
