"""When a message is sent again, and when it is given up."""

from holdfast.domain.units import HOUR_MS, MINUTE_MS

_FIRST_RETRY_MS = 5_000
_LONGEST_RETRY_MS = 15 * MINUTE_MS
FAILING_AFTER = 3
"""Failures in a row after which a channel is an alarm."""
GIVE_UP_MS = 24 * HOUR_MS
MAX_REFUSALS = 5
"""Tries of a message that the other side refuses for good."""


def retry_ms(failures: int) -> int:
    """How long a channel waits after so many failures in a row."""
    return min(_LONGEST_RETRY_MS, _FIRST_RETRY_MS * 2 ** min(failures - 1, 20))


def gives_up(age_ms: int, tries: int, *, refused: bool) -> bool:
    """Whether a message is not tried any more. `refused`: the other side will never take it."""
    return age_ms >= GIVE_UP_MS or (refused and tries >= MAX_REFUSALS)
