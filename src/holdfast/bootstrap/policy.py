"""The retention policy of this installation."""

from holdfast.domain.retention.rules import DAY_MS, Policy
from holdfast.settings import Settings

_HOUR_MS = 3_600_000


def policy_of(settings: Settings) -> Policy:
    """The policy from the settings. `read_within` 0 turns off readings, but deletions still
    require one of the last 30 days and request it."""
    read_ms = round(settings.read_within * DAY_MS) or 30 * DAY_MS
    return Policy(
        share=settings.prune_share,
        grace_ms=round(settings.prune_grace * _HOUR_MS),
        every_ms=round(settings.prune_every * 1000),
        history_ms=settings.history * DAY_MS,
        read_ms=read_ms,
    )
