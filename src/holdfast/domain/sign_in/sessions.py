"""How long a session in a browser lasts, and for how long its user counts as just signed in."""

from dataclasses import dataclass

from holdfast.domain.units import DAY_MS, HOUR_MS

IDLE_MS = 12 * HOUR_MS
LONGEST_MS = 7 * DAY_MS
FRESH_MS = 10 * 60_000
"""Restores in place, deletions, recovery kits and tokens need a sign-in that is no older."""
SEEN_EVERY_MS = 60_000
"""How exactly the last request of a session is recorded, since each record is a write."""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """The instants of a session, in ms since 1970."""

    created: int
    proven: int
    seen: int

    def is_over(self, now: int) -> bool:
        """Whether the session has ended. One from the future, by a clock set back, has."""
        idle, age = now - self.seen, now - self.created
        return idle >= IDLE_MS or not -SEEN_EVERY_MS <= age < LONGEST_MS

    def is_fresh(self, now: int) -> bool:
        return 0 <= now - self.proven < FRESH_MS

    def is_stale(self, now: int) -> bool:
        """Whether the time of the last request should be recorded anew."""
        return abs(now - self.seen) > SEEN_EVERY_MS
