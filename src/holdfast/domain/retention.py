"""Which copies may go: one pure rule that takes the list and the time, and explains itself.

"Newest" is by the order in which backups were asked for, not by the clock: a clock that jumps
changes what has expired, never what is the last good backup. What counts as good is said by
whoever makes the list, so a stricter proof changes nothing here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

DAY_MS = 86_400_000


def expiry(taken: int, days: int | None) -> int | None:
    """The instant a copy expires; None: never by itself."""
    return None if days is None else taken + days * DAY_MS


class State(StrEnum):
    """What a copy is worth."""

    MAKING = "making"
    GOOD = "good"
    BAD = "bad"  # failed, not supported, or its objects were found missing
    VOID = "void"  # aborted by somebody: nothing was expected of it


class Reason(StrEnum):
    """Why a verdict is as it is; each is a sentence for people."""

    EXPIRED = "its retention time is over"
    NOT_YET = "its retention time is not over yet"
    UNLIMITED = "it has no retention time: it stays until somebody deletes it"
    RETAINED = "it is retained for ever"
    MAKING = "it is still being made"
    IN_USE = "it is being restored"
    NEWEST_OF_ADDON = "it is the newest good backup of the addon"
    NEWEST_AT_PLACE = "it is the newest good copy at this destination"
    NEWER_FAILED = "newer backups have failed, so age alone is no reason to delete it"
    NEWEST_FAILURE = "it shows that the newest backup failed"


@dataclass(frozen=True, slots=True)
class Held:
    """One copy of one backup of one addon. `place` None is the platform store."""

    key: int
    backup: int
    place: int | None
    state: State
    expires: int | None
    retained: bool = False
    in_use: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    held: Held
    keep: bool
    reasons: tuple[Reason, ...]


class _Newest:
    """The newest good and the newest bad backup among some copies; 0 when there is none."""

    __slots__ = ("bad", "good")

    def __init__(self) -> None:
        self.good = self.bad = 0

    def see(self, held: Held) -> None:
        if held.state is State.GOOD:
            self.good = max(self.good, held.backup)
        elif held.state is State.BAD:
            self.bad = max(self.bad, held.backup)

    @property
    def troubled(self) -> bool:
        return self.bad > self.good


def judge(copies: Sequence[Held], now: int) -> list[Verdict]:
    """A verdict for each of one addon's copies, in their order.

    A copy is dropped only when its time is over and nothing speaks for it. Whatever the list and
    the time: the newest good backup of the addon and the newest good copy at each place stay,
    and while the newest backup of the addon or at the place has failed, every good one does.
    """
    addon, places = _Newest(), dict[int | None, _Newest]()
    for held in copies:
        addon.see(held)
        places.setdefault(held.place, _Newest()).see(held)
    return [_verdict(held, now, addon, places[held.place]) for held in copies]


def _verdict(held: Held, now: int, addon: _Newest, place: _Newest) -> Verdict:
    reasons = (*_holding(held, now), *_standing(held, addon, place))
    return Verdict(held, bool(reasons), reasons or (Reason.EXPIRED,))


def _holding(held: Held, now: int) -> Iterable[Reason]:
    """What speaks for a copy by itself."""
    if held.state is State.MAKING:
        yield Reason.MAKING
    if held.retained:
        yield Reason.RETAINED
    if held.in_use:
        yield Reason.IN_USE
    if held.expires is None:
        yield Reason.UNLIMITED
    elif held.expires > now:
        yield Reason.NOT_YET


def _standing(held: Held, addon: _Newest, place: _Newest) -> Iterable[Reason]:
    """What speaks for a copy because of the others."""
    if held.state is State.GOOD:
        if held.backup == addon.good:
            yield Reason.NEWEST_OF_ADDON
        if held.backup == place.good:
            yield Reason.NEWEST_AT_PLACE
        if addon.troubled or place.troubled:
            yield Reason.NEWER_FAILED
    elif held.state is State.BAD and _is_newest_failure(held, addon, place):
        yield Reason.NEWEST_FAILURE


def _is_newest_failure(held: Held, addon: _Newest, place: _Newest) -> bool:
    return any(each.troubled and held.backup == each.bad for each in (addon, place))


def within_share(drops: Sequence[Verdict], total: int, share: float) -> Sequence[Verdict]:
    """The oldest of `drops`, as many as one run may delete: a share of all, but at least one."""
    most = max(1, int(total * share))
    return sorted(drops, key=lambda verdict: verdict.held.backup)[:most]


def is_last_good(copies: Iterable[Held], backup: int) -> bool:
    """Is this the only backup of the addon that is good anywhere?"""
    good = {held.backup for held in copies if held.state is State.GOOD}
    return good == {backup}
