"""The retention rule: which copies may be deleted, and the reasons. A pure function.

"Newest" is by the order in which backups were requested, not by the clock: a clock that jumps
changes what has expired, never what is the last good backup. The caller decides what counts as
good, so a stricter proof changes nothing here.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from holdfast.domain.errors import Invalid
from holdfast.domain.units import DAY_MS


def expiry(created: int, days: int | None) -> int | None:
    """The instant a copy expires; None: never by itself."""
    return None if days is None else created + days * DAY_MS


@dataclass(frozen=True)
class Policy:
    """The operator's settings. No setting lets the last good backup be deleted.

    Raises Invalid for values that make no sense.
    """

    share: float  # of an addon's backups that one run marks at most
    grace_ms: int  # between marking and deleting
    every_ms: int  # between two runs over expired copies that stay
    history_ms: int  # how long rows of deleted backups are kept
    read_ms: int = 30 * DAY_MS  # maximum age of the last reading of a copy that lets others go

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
    """What a copy could be restored to."""

    MAKING = "making"
    GOOD = "good"
    BAD = "bad"  # failed, or not supported
    LOST = "lost"  # was good; its objects were found missing, and may be found again
    VOID = "void"  # aborted on request: says nothing about the addon


class Reason(StrEnum):
    """Reasons of a verdict, each a clause for people."""

    EXPIRED = "its retention time is over"
    NOT_YET = "its retention time is not over yet"
    UNLIMITED = "it has no retention time: it stays until it is deleted by hand"
    RETAINED = "it is retained for ever"
    MAKING = "it is still being made"
    IN_USE = "it is being restored or downloaded"
    BEGINS_WINDOW = "a window of instants that can be restored begins with it"
    NEWEST_OF_ADDON = "it is the newest good backup of the addon"
    NEWEST_AT_PLACE = "it is the newest good copy at this destination"
    NEWER_FAILED = "newer backups failed or were lost, so age alone is no reason to delete it"
    NEWEST_FAILURE = "it shows that the newest backup failed"
    MAY_RETURN = "its objects are missing but may be found again, and no newer backup is good"


@dataclass(frozen=True, slots=True)
class HeldCopy:
    """One copy of one backup of one addon. `destination_pk` None is the platform store.

    `foreign`: it was imported, so it holds other data: it neither counts as a backup of the addon
    nor as a failure of one.
    """

    key: int
    backup: int
    destination_pk: int | None
    state: State
    expires: int | None
    retained: bool = False
    in_use: bool = False
    foreign: bool = False

    @property
    def good(self) -> bool:
        """Could the addon's own data be restored from it?"""
        return self.state is State.GOOD and not self.foreign


@dataclass(frozen=True, slots=True)
class Verdict:
    held: HeldCopy
    keep: bool
    reasons: tuple[Reason, ...]


class _Newest:
    """The newest good and the newest bad backup among some copies; 0 when there is none."""

    __slots__ = ("bad", "good")

    def __init__(self) -> None:
        self.good = self.bad = 0

    def see(self, copy: HeldCopy) -> None:
        if copy.good:
            self.good = max(self.good, copy.backup)
        elif not copy.foreign and copy.state in (State.BAD, State.LOST):
            self.bad = max(self.bad, copy.backup)

    @property
    def troubled(self) -> bool:
        return self.bad > self.good


def judge(
    copies: Sequence[HeldCopy],
    now: int,
    past: Iterable[HeldCopy] = (),
    bases: Collection[int] = (),
) -> list[Verdict]:
    """A verdict for each of one addon's copies, in their order.

    A copy is dropped only when its retention is over and no other reason keeps it. Always kept: the
    newest good backup of the addon, the newest good copy at each destination and, while the newest
    backup of the addon or at the destination has failed, every good copy. `past` are failures whose
    records are gone; they still count as failures. `bases` are backups that an archived log needs.
    """
    addon, by_destination = _Newest(), dict[int | None, _Newest]()
    for copy in (*copies, *past):
        addon.see(copy)
        by_destination.setdefault(copy.destination_pk, _Newest()).see(copy)
    verdicts: list[Verdict] = []
    for copy in copies:
        newest_here = by_destination[copy.destination_pk]
        base = (Reason.BEGINS_WINDOW,) if copy.backup in bases else ()
        relative = _relative_reasons(copy, addon, newest_here)
        reasons = (*_own_reasons(copy, now), *base, *relative)
        verdicts.append(Verdict(copy, bool(reasons), reasons or (Reason.EXPIRED,)))
    return verdicts


def _own_reasons(copy: HeldCopy, now: int) -> Iterable[Reason]:
    """Reasons of the copy itself to stay."""
    if copy.state is State.MAKING:
        yield Reason.MAKING
    if copy.retained:
        yield Reason.RETAINED
    if copy.in_use:
        yield Reason.IN_USE
    if copy.expires is None:
        yield Reason.UNLIMITED
    elif copy.expires > now:
        yield Reason.NOT_YET


def _relative_reasons(copy: HeldCopy, addon: _Newest, destination: _Newest) -> Iterable[Reason]:
    """Reasons to stay that depend on the other copies."""
    if copy.state is State.GOOD:
        if copy.backup == addon.good:
            yield Reason.NEWEST_OF_ADDON
        if copy.backup == destination.good:
            yield Reason.NEWEST_AT_PLACE
        if addon.troubled or destination.troubled:
            yield Reason.NEWER_FAILED
    elif copy.state is State.LOST and copy.backup > min(addon.good, destination.good):
        yield Reason.MAY_RETURN
    elif copy.state is State.BAD and any(
        newest.troubled and copy.backup == newest.bad for newest in (addon, destination)
    ):
        yield Reason.NEWEST_FAILURE


def within_share(verdicts: Sequence[Verdict], share: float) -> list[Verdict]:
    """The verdicts to drop in one run: those of the oldest backups, up to `share` of the addon's
    backups but at least one."""
    most = most_at_once({verdict.held.backup for verdict in verdicts}, share)
    drops = [verdict for verdict in verdicts if not verdict.keep]
    chosen = set(sorted({verdict.held.backup for verdict in drops})[:most])
    return [verdict for verdict in drops if verdict.held.backup in chosen]


def most_at_once(backups: Iterable[int], share: float) -> int:
    return max(1, int(len(set(backups)) * share))


def floor(copies: Iterable[HeldCopy], going: HeldCopy) -> list[HeldCopy]:
    """The copies that must be proven before `going` is deleted: a copy of the newest other good
    backup, and the newest other good copy at the same destination if there is one."""
    others = [copy for copy in copies if copy.good and copy.key != going.key]
    beside = [copy for copy in others if copy.destination_pk == going.destination_pk]
    newest = [
        max(group, key=lambda copy: (copy.backup, copy.key)) for group in (others, beside) if group
    ]
    return list(dict.fromkeys(newest))


def is_last_good(copies: Iterable[HeldCopy], backup: int) -> bool:
    """Whether `backup` is the only good backup of the addon."""
    good = {copy.backup for copy in copies if copy.good}
    return good == {backup}


_FOR_GOOD = frozenset({Reason.RETAINED, Reason.UNLIMITED})


def earliest(verdict: Verdict, now: int) -> int | None:
    """The earliest instant at which the copy can be expired; None: never, as things are."""
    if verdict.held.expires is None or not _FOR_GOOD.isdisjoint(verdict.reasons):
        return None
    return max(verdict.held.expires, now)
