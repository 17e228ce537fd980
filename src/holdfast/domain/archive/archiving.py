"""Whether an addon's log is archived as it should be: a pure rule over facts and the time."""

from dataclasses import dataclass

from holdfast.domain.units import HOUR_MS, MINUTE_MS, show_bytes, show_instant

WINDOW_BEGINS_WITHIN_MS = HOUR_MS
"""How long the first snapshot of a new line of a log may take before that is a problem; so old may
the newest recovery point be where nothing but the archive says so."""

_LATE_INTERVALS = 6
_LATE_MS = 5 * MINUTE_MS
_LITTLE_SLACK = 4
"""A quarter of what a server keeps for us is little."""


@dataclass(frozen=True, slots=True)
class Archiving:
    """What the catalogue knows of the archived log of one addon. Instants in ms since 1970.

    `wanted`: it is archived on, since `since`, every `interval_s` seconds. `checked`: up to when
    all of it is stored, by our own clock. `state` and `reason` are for people. `behind`: bytes that
    the server has and the store has not; `slack`: bytes that it writes before it lets go of those,
    of `slack_limit` in all; None: without a limit. `stored`: bytes in the store.

    Any instant from `window_begin` to `window_end`, by the server's clock, can be recovered; None:
    none can. `gaps` lie between this window and those before. `unreached`: since when what is
    stored leads nowhere, because no good snapshot was taken after the log began anew or, if
    `has_hole`, lost a part.
    """

    wanted: bool
    state: str
    since: int
    interval_s: int
    checked: int | None = None
    reason: str | None = None
    behind: int | None = None
    slack: int | None = None
    slack_limit: int | None = None
    stored: int = 0
    window_begin: int | None = None
    window_end: int | None = None
    gaps: int = 0
    unreached: int | None = None
    has_hole: bool = False

    @property
    def stored_until(self) -> int:
        """Up to when all is stored; what came later is lost with the server."""
        return max(self.checked or 0, self.since)


def is_late(stored: int, interval_s: int, now: int) -> bool:
    """Whether an archive is behind. `stored`: when all of the log was last stored; one that lies
    ahead was written before a clock went back."""
    return abs(now - stored) > max(_LATE_MS, _LATE_INTERVALS * interval_s * 1000)


def is_slack_little(slack: int | None, limit: int | None) -> bool:
    """Whether the server soon removes log that is not stored. `slack`: bytes until then; `limit`:
    bytes that it keeps at most; None: without a limit."""
    return slack is not None and limit is not None and slack < limit // _LITTLE_SLACK


def problem(archiving: Archiving, now: int) -> tuple[str, int] | None:
    """What is wrong, and since when; None: nothing. Of a server that runs."""
    if not archiving.wanted:
        return None
    stored, unreached = archiving.stored_until, archiving.unreached
    if is_late(stored, archiving.interval_s, now):
        why = f": {archiving.reason}" if archiving.reason else ""
        return f"its log was stored completely last at {show_instant(stored)}{why}", stored
    if is_slack_little(archiving.slack, archiving.slack_limit):
        room = show_bytes(max(0, archiving.slack or 0))
        return f"the server removes log that is not stored yet after {room} more", stored
    if unreached is not None and now - unreached > WINDOW_BEGINS_WITHIN_MS:
        happened = "lost a part" if archiving.has_hole else "began anew"
        sentence = (
            f"its log {happened} at {show_instant(unreached)}, and no good snapshot has been taken"
            " since: nothing after that can be recovered"
        )
        return sentence, unreached
    return None
