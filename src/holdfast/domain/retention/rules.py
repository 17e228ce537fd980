"""Which copies may go: one pure rule that takes the list and the time, and explains itself.

"Newest" is by the order in which backups were asked for, not by the clock: a clock that jumps
changes what has expired, never what is the last good backup. What counts as good is said by
whoever makes the list, so a stricter proof changes nothing here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from holdfast.domain.errors import Invalid

DAY_MS = 86_400_000


def expiry(taken: int, days: int | None) -> int | None:
    """The instant a copy expires; None: never by itself."""
    return None if days is None else taken + days * DAY_MS


@dataclass(frozen=True)
class Policy:
    """What an operator may choose. No choice lets the last good backup go.

    Raises Invalid for what makes no sense.
    """

    share: float  # of an addon's backups: the most that one run marks
    grace_ms: int  # between marking and removing
    every_ms: int  # between two looks at what has expired and stays
    history_ms: int  # how long the rows of what is gone are kept
    read_ms: int = 30 * DAY_MS  # how long ago the bytes of what saves others may have been read

    def __post_init__(self) -> None:
        problems = {
            "share": "" if 0 < self.share <= 1 else "must be above 0 and at most 1",
            "grace": "" if self.grace_ms >= 0 else "must not be negative",
            "every": "" if self.every_ms >= 1000 else "must be at least a second",
            "history": "" if self.history_ms >= DAY_MS else "must be at least a day",
            "read": "" if self.read_ms > 0 else "must not be zero or less",
        }
        wrong = {name: problem for name, problem in problems.items() if problem}
        if wrong:
            words = "; ".join(f"{name} {problem}" for name, problem in wrong.items())
            raise Invalid(f"retention cannot work like that: {words}", wrong)


class State(StrEnum):
    """What a copy is worth."""

    MAKING = "making"
    GOOD = "good"
    BAD = "bad"  # failed, or not supported
    LOST = "lost"  # was good; its objects were found missing, and may be found again
    VOID = "void"  # aborted by somebody: nothing was expected of it


class Reason(StrEnum):
    """Why a verdict is as it is; each is a sentence for people."""

    EXPIRED = "its retention time is over"
    NOT_YET = "its retention time is not over yet"
    UNLIMITED = "it has no retention time: it stays until somebody deletes it"
    RETAINED = "it is retained for ever"
    MAKING = "it is still being made"
    IN_USE = "it is being restored or downloaded"
    NEWEST_OF_ADDON = "it is the newest good backup of the addon"
    NEWEST_AT_PLACE = "it is the newest good copy at this destination"
    NEWER_FAILED = "newer backups failed or were lost, so age alone is no reason to delete it"
    NEWEST_FAILURE = "it shows that the newest backup failed"
    MAY_RETURN = "its objects are missing but may be found again, and no newer backup is good"


@dataclass(frozen=True, slots=True)
class Held:
    """One copy of one backup of one addon. `place` None is the platform store.

    `foreign`: it was imported, so it is of other data: it neither stands for a backup of the addon
    nor speaks against one.
    """

    key: int
    backup: int
    place: int | None
    state: State
    expires: int | None
    retained: bool = False
    in_use: bool = False
    foreign: bool = False

    @property
    def good(self) -> bool:
        """Could the addon be restored from it to what it was?"""
        return self.state is State.GOOD and not self.foreign


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
        if held.good:
            self.good = max(self.good, held.backup)
        elif not held.foreign and held.state in (State.BAD, State.LOST):
            self.bad = max(self.bad, held.backup)

    @property
    def troubled(self) -> bool:
        return self.bad > self.good


def judge(copies: Sequence[Held], now: int, past: Iterable[Held] = ()) -> list[Verdict]:
    """A verdict for each of one addon's copies, in their order.

    A copy is dropped only when its time is over and nothing speaks for it. Whatever the list and
    the time: the newest good backup of the addon and the newest good copy at each place stay,
    and while the newest backup of the addon or at the place has failed, every good one does.
    `past` are failures whose records are gone: they were failures all the same.
    """
    addon, places = _Newest(), dict[int | None, _Newest]()
    for held in (*copies, *past):
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
    elif held.state is State.LOST and held.backup > min(addon.good, place.good):
        yield Reason.MAY_RETURN
    elif held.state is State.BAD and _is_newest_failure(held, addon, place):
        yield Reason.NEWEST_FAILURE


def _is_newest_failure(held: Held, addon: _Newest, place: _Newest) -> bool:
    return any(each.troubled and held.backup == each.bad for each in (addon, place))


def within_share(verdicts: Sequence[Verdict], share: float) -> list[Verdict]:
    """The drops of the oldest backups, as many as one run may touch: a share of the addon's
    backups, but at least one."""
    most = most_at_once({verdict.held.backup for verdict in verdicts}, share)
    drops = [verdict for verdict in verdicts if not verdict.keep]
    chosen = set(sorted({verdict.held.backup for verdict in drops})[:most])
    return [verdict for verdict in drops if verdict.held.backup in chosen]


def most_at_once(backups: Iterable[int], share: float) -> int:
    return max(1, int(len(set(backups)) * share))


def floor(copies: Iterable[Held], going: Held) -> list[Held]:
    """What must still be there when `going` has gone: a copy of the newest other good backup,
    and the newest other good copy at the same place if there is one."""
    others = [held for held in copies if held.good and held.key != going.key]
    beside = [held for held in others if held.place == going.place]
    newest = [max(each, key=_age) for each in (others, beside) if each]
    return list(dict.fromkeys(newest))


def _age(held: Held) -> tuple[int, int]:
    return held.backup, held.key


def is_last_good(copies: Iterable[Held], backup: int) -> bool:
    """Is this the only backup of the addon that is good anywhere?"""
    good = {held.backup for held in copies if held.good}
    return good == {backup}


_FOR_GOOD = frozenset({Reason.RETAINED, Reason.UNLIMITED})


def earliest(verdict: Verdict, now: int) -> int | None:
    """When age could be a reason at the earliest; None: never, as things are."""
    if verdict.held.expires is None or not _FOR_GOOD.isdisjoint(verdict.reasons):
        return None
    return max(verdict.held.expires, now)
