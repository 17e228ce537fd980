"""The judge of copies: one example for each reason, and what one run may take."""

import pytest

from holdfast.domain.errors import Invalid
from holdfast.domain.retention.rules import (
    DAY_MS,
    HeldCopy,
    Policy,
    Reason,
    State,
    Verdict,
    earliest,
    expiry,
    floor,
    is_last_good,
    judge,
    within_share,
)

NOW = 1_000 * DAY_MS
OLD = NOW - 1


def held(
    backup: int, state: State = State.GOOD, expires: int | None = OLD, place: int | None = None,
    **more: bool,
) -> HeldCopy:  # fmt: skip
    key = backup * 10 + (place or 0)
    return HeldCopy(key, backup, place, state, expires, **more)


def verdicts(*copies: HeldCopy, past: tuple[HeldCopy, ...] = ()) -> dict[int, Verdict]:
    return {each.held.key: each for each in judge(copies, NOW, past)}


def reasons(*copies: HeldCopy, past: tuple[HeldCopy, ...] = ()) -> list[tuple[Reason, ...]]:
    return [each.reasons for each in judge(copies, NOW, past)]


def test_what_expired_goes_when_a_newer_one_is_good() -> None:
    old, new = judge([held(1), held(2)], NOW)

    assert (old.keep, old.reasons) == (False, (Reason.EXPIRED,))
    assert (new.keep, new.reasons) == (True, (Reason.NEWEST_OF_ADDON, Reason.NEWEST_AT_PLACE))


def test_what_was_imported_stands_for_no_backup_and_against_none() -> None:
    """It is of other data, so the addon's last own backup stays the last good one."""
    own, newer = held(1), held(2, expires=None, foreign=True)
    assert Reason.NEWEST_OF_ADDON in reasons(own, newer)[0]
    assert is_last_good([own, newer], own.backup)
    assert not is_last_good([own, newer], newer.backup)
    assert floor([own, newer], held(3)) == [own]
    failed = held(4, State.BAD, foreign=True)
    assert reasons(held(1), held(2), failed)[0] == (Reason.EXPIRED,)


def test_a_copy_expires_at_its_instant_and_not_before() -> None:
    newer = held(2)
    assert reasons(held(1, expires=NOW + 1), newer)[0] == (Reason.NOT_YET,)
    assert reasons(held(1, expires=NOW), newer)[0] == (Reason.EXPIRED,)


@pytest.mark.parametrize(
    ("copy", "reason"),
    [
        (held(1, expires=None), Reason.UNLIMITED),
        (held(1, retained=True), Reason.RETAINED),
        (held(1, in_use=True), Reason.IN_USE),
        (held(1, State.MAKING), Reason.MAKING),
    ],
)
def test_what_speaks_for_a_copy_by_itself(copy: HeldCopy, reason: Reason) -> None:
    assert reasons(copy, held(2))[0] == (reason,)


@pytest.mark.parametrize("state", [State.BAD, State.LOST])
def test_while_the_newest_failed_or_is_lost_no_good_one_goes(state: State) -> None:
    first, second, _ = reasons(held(1), held(2), held(3, state))

    assert first == (Reason.NEWER_FAILED,)
    assert second == (Reason.NEWEST_OF_ADDON, Reason.NEWEST_AT_PLACE, Reason.NEWER_FAILED)


def test_a_failure_whose_record_is_gone_was_a_failure_all_the_same() -> None:
    first, _ = reasons(held(1), held(2), past=(held(3, State.BAD),))
    assert first == (Reason.NEWER_FAILED,)


def test_an_aborted_backup_says_nothing_about_the_others() -> None:
    old, _, aborted = verdicts(held(1), held(2), held(3, State.VOID)).values()
    assert not old.keep
    assert not aborted.keep


def test_the_newest_failure_is_shown_until_a_backup_is_good_again() -> None:
    older, newest = reasons(held(2, State.BAD), held(3, State.BAD))
    assert older == (Reason.EXPIRED,)
    assert newest == (Reason.NEWEST_FAILURE,)
    assert reasons(held(3, State.BAD), held(4))[0] == (Reason.EXPIRED,)


def test_what_is_lost_stays_while_nothing_newer_is_good() -> None:
    """Its objects may return: a wrong mount looks like a loss of everything."""
    assert reasons(held(1, State.LOST), held(2, State.LOST)) == [(Reason.MAY_RETURN,)] * 2
    assert reasons(held(1, State.LOST), held(2))[0] == (Reason.EXPIRED,)


def test_each_place_keeps_its_newest_good_copy() -> None:
    there, _ = held(1, place=7), held(2)
    assert reasons(there, held(2))[0] == (Reason.NEWEST_AT_PLACE,)


def test_trouble_at_one_place_keeps_what_is_there_and_nothing_elsewhere() -> None:
    """Backup 3 is good here; only its copy at place 7 failed."""
    here, there = held(1), held(2, place=7)
    found = verdicts(here, there, held(3), held(3, State.BAD, place=7), held(1, place=7))

    assert not found[here.key].keep
    assert found[11 + 6].reasons == (Reason.NEWER_FAILED,)
    assert found[there.key].keep
    assert found[37].reasons == (Reason.NEWEST_FAILURE,)


def test_newest_is_by_the_order_of_asking_not_by_the_clock() -> None:
    """The second was taken while the clock was a year behind, so it expired first."""
    first, second = judge([held(1, expires=OLD), held(2, expires=OLD - 365 * DAY_MS)], NOW)
    assert not first.keep
    assert second.keep


def test_one_run_takes_no_more_than_its_share_of_backups_and_the_oldest_first() -> None:
    copies = [held(n, place=place) for n in range(1, 9) for place in (None, 7)]

    taken = within_share(judge(copies, NOW), 0.25)

    assert [each.held.backup for each in taken] == [1, 1, 2, 2]


def test_one_run_takes_at_least_one_backup_and_may_be_told_to_take_all() -> None:
    copies = [held(1), held(2), held(3)]
    assert [each.held.backup for each in within_share(judge(copies, NOW), 0.01)] == [1]
    assert [each.held.backup for each in within_share(judge(copies, NOW), 1.0)] == [1, 2]


def test_the_floor_is_the_newest_good_of_the_addon_and_of_the_place() -> None:
    going, beside, newest = held(1, place=7), held(2, place=7), held(3)

    assert floor([going, beside, newest, held(4, State.BAD)], going) == [newest, beside]
    assert floor([going, newest], going) == [newest]
    assert floor([going], going) == []
    assert floor([held(1), held(2)], held(1)) == [held(2)]


def test_the_last_good_backup_may_have_several_copies() -> None:
    assert is_last_good([held(1), held(1, place=7), held(2, State.BAD)], 1)
    assert not is_last_good([held(1), held(2)], 1)
    assert not is_last_good([held(1, State.BAD)], 1)
    assert not is_last_good([held(1), held(2, State.LOST)], 2)


def test_when_age_could_be_a_reason() -> None:
    for copy, wanted in (
        (held(1, expires=NOW + 5), NOW + 5),
        (held(2), NOW),
        (held(1, expires=None), None),
        (held(1, retained=True), None),
    ):
        assert earliest(judge([copy], NOW)[0], NOW) == wanted


def test_expiry_counts_days_from_when_it_was_taken() -> None:
    assert expiry(5, 2) == 2 * DAY_MS + 5
    assert expiry(5, None) is None


@pytest.mark.parametrize(
    ("wrong", "value"),
    [("share", 0.0), ("share", 1.1), ("share", -1.0), ("grace", -1), ("every", 0), ("history", 0)],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: str, value: float) -> None:
    chosen = {"share": 0.25, "grace_ms": 0, "every_ms": 1000, "history_ms": DAY_MS}
    key = wrong if wrong == "share" else f"{wrong}_ms"
    Policy(**chosen)  # type: ignore[arg-type]
    with pytest.raises(Invalid) as refused:
        Policy(**{**chosen, key: value})  # type: ignore[arg-type]
    assert list(refused.value.details) == [wrong]
