"""Retention at work, on SQLite and PostgreSQL: marked, waiting, judged again, looked at, gone."""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from fixtures.keeping import POLICY, Keeper
from fixtures.timetables import DAY, HOUR, MINUTE
from holdfast.catalog.storage import holdings
from holdfast.domain.errors import StoreRefused, StoreUnavailable
from holdfast.domain.operation import Status
from holdfast.domain.retention.rules import is_last_good
from holdfast.kit.clock import rfc3339
from holdfast.usecases.retention import expiry


def test_what_expired_is_marked_with_its_reason_waits_and_goes(
    keeper: Keeper, kept_addon: int
) -> None:
    old = keeper.backup(kept_addon)
    keeper.clock.at += HOUR
    new = keeper.backup(kept_addon)

    keeper.round(hours=22)
    assert keeper.deletions(old) == []

    keeper.round(hours=1)
    (deletion,) = keeper.deletions(old)
    assert deletion.due == keeper.clock.at + DAY
    for part in (
        keeper.row(old).id,
        "kept for 1 day, until",
        keeper.row(new).id,
        rfc3339(keeper.row(old).created),
    ):
        assert part in deletion.reason
    assert keeper.copies(old)[0].marked == keeper.clock.at
    assert keeper.row(old).deleted is None

    keeper.round(hours=23)
    assert len(keeper.stored()) == 4

    keeper.round(hours=1)
    assert keeper.present(kept_addon) == [new]
    assert [key for key in keeper.stored() if keeper.row(old).uid in key] == []
    (deletion,) = keeper.deletions(old)
    assert (deletion.begun, deletion.done, deletion.tries) == (keeper.clock.at, keeper.clock.at, 1)
    assert keeper.copies(old)[0].gone == keeper.row(old).deleted == keeper.clock.at


def test_the_last_good_backup_never_goes_however_old(keeper: Keeper, kept_addon: int) -> None:
    only = keeper.backup(kept_addon)
    for _ in range(20):
        keeper.round(days=300)
    assert keeper.deletions(only) == []
    assert len(keeper.stored()) == 2


def test_nothing_good_goes_while_newer_ones_fail(keeper: Keeper, kept_addon: int) -> None:
    good = [keeper.backup(kept_addon) for _ in range(3)]
    keeper.backup(kept_addon, Status.FAILED)
    newest_failure = keeper.backup(kept_addon, Status.FAILED)
    for _ in range(10):
        keeper.round(days=30)
    assert keeper.present(kept_addon) == [*good, newest_failure]

    again = keeper.backup(kept_addon)
    for _ in range(10):
        keeper.round(days=2)
    assert keeper.present(kept_addon) == [again]
    assert len(keeper.stored()) == 2


def test_a_failure_during_the_grace_calls_it_off(keeper: Keeper, kept_addon: int) -> None:
    old = keeper.backup(kept_addon)
    keeper.backup(kept_addon)
    keeper.round(days=1)
    keeper.clock.at += DAY - MINUTE
    keeper.backup(kept_addon, Status.FAILED)

    keeper.round(hours=1)

    (deletion,) = keeper.deletions(old)
    assert (
        deletion.called_off
        == "newer backups failed or were lost, so age alone is no reason to delete it"
    )
    assert deletion.done is not None
    assert deletion.begun is None
    assert keeper.copies(old)[0].marked is None
    assert len(keeper.stored()) == 4


def test_one_run_marks_no_more_than_its_share_and_the_next_goes_on(
    keeper: Keeper, kept_addon: int
) -> None:
    pks = [keeper.backup(kept_addon) for _ in range(9)]
    marked = []
    keeper.clock.at += DAY
    for _ in range(4):
        keeper.pruner.round()
        keeper.pruner.round()  # the same run: not before its pause is over
        marked.append(sum(len(keeper.deletions(pk)) for pk in pks))
        keeper.clock.at += HOUR
    assert marked == [2, 3, 4, 5]
    assert [len(keeper.deletions(pk)) for pk in pks] == [1] * 5 + [0] * 4


def test_all_at_once_when_told_to(keeper: Keeper, kept_addon: int) -> None:
    for _ in range(9):
        keeper.backup(kept_addon)
    keeper.clock.at += DAY
    with keeper.catalog.write() as session:
        pruned = expiry.prune_addon(
            session, kept_addon, keeper.clock.at, replace(POLICY, share=1.0)
        )
    assert (pruned.marked, pruned.called_off, pruned.expired) == (8, 0, 0)


def test_retain_calls_off_at_once_and_for_ever(keeper: Keeper, kept_addon: int) -> None:
    old = keeper.backup(kept_addon)
    keeper.backup(kept_addon)
    keeper.round(days=1)

    keeper.retain(old)

    (deletion,) = keeper.deletions(old)
    assert deletion.called_off == "retained by tester"
    assert keeper.copies(old)[0].marked is None
    for _ in range(5):
        keeper.round(days=50)
    assert len(keeper.stored()) == 4


def test_what_is_being_restored_does_not_begin_to_go(keeper: Keeper, kept_addon: int) -> None:
    old = keeper.backup(kept_addon)
    keeper.backup(kept_addon)
    keeper.round(days=1)
    restore = keeper.restore(old, kept_addon)
    keeper.round(days=1)
    assert keeper.deletions(old)[0].called_off == "it is being restored or downloaded"
    assert len(keeper.stored()) == 4

    keeper.end_restore(restore)
    keeper.round(days=1)
    keeper.round(days=1)
    assert len(keeper.stored()) == 2


def test_before_one_goes_the_newest_is_looked_up_in_its_store(
    keeper: Keeper, kept_addon: int, caplog: pytest.LogCaptureFixture
) -> None:
    oldest, old, new = (keeper.backup(kept_addon) for _ in range(3))
    keeper.round(days=1)
    keeper.vanish(new)

    with caplog.at_level(logging.ERROR):
        keeper.round(days=1)

    assert keeper.copies(new)[0].lost == keeper.clock.at
    (finding,) = keeper.findings()
    assert (finding.kind, finding.copy_pk) == ("lost", keeper.copies(new)[0].pk)
    assert "manifest.json is missing" in finding.reason
    assert "a backup is lost" in caplog.text
    assert "newer backups failed or were lost" in str(keeper.deletions(oldest)[0].called_off)
    assert len(keeper.stored()) == 4
    for _ in range(5):
        keeper.round(days=10)
    assert keeper.present(kept_addon) == [oldest, old, new]


def test_a_member_of_another_size_is_as_bad_as_none(keeper: Keeper, kept_addon: int) -> None:
    keeper.backup(kept_addon)
    new = keeper.backup(kept_addon)
    keeper.round(days=1)
    keeper.put(None, f"{keeper.copies(new)[0].objects}postgres.dump.gz", b"cut")

    keeper.round(days=1)

    assert "holds 3 bytes, 100 were proven" in keeper.findings()[0].reason
    assert len(keeper.stored()) == 4


def test_when_the_store_of_the_newest_is_away_nothing_goes_yet(
    keeper: Keeper, kept_addon: int
) -> None:
    there = keeper.destination("there")
    old = keeper.backup(kept_addon)
    keeper.backup(kept_addon, places=(there,))
    keeper.backup(kept_addon)  # the newest here is not the newest of all
    keeper.backup(kept_addon, places=(there,))
    keeper.round(days=1)
    faulty = keeper.fail(there, list=[StoreUnavailable("no answer")] * 2)

    keeper.round(days=1)
    (deletion,) = keeper.deletions(old)
    assert (deletion.begun, deletion.tries, deletion.last_error) == (None, 1, "no answer")
    assert deletion.next_try == keeper.clock.at + MINUTE
    assert keeper.row(old).deleted is None

    keeper.clock.at += 2 * MINUTE
    keeper.round()
    assert keeper.deletions(old)[0].tries == 2
    keeper.round(hours=1)
    assert keeper.deletions(old)[0].done == keeper.clock.at
    assert faulty.unused() == {}


def test_the_newest_copy_of_each_place_stays(keeper: Keeper, kept_addon: int) -> None:
    there = keeper.destination("there")
    first = keeper.backup(kept_addon, places=(None, there))
    second = keeper.backup(kept_addon, places=(None, there))
    third = keeper.backup(kept_addon)
    for _ in range(6):
        keeper.round(days=2)
    assert keeper.present(kept_addon) == [second, third]
    assert [copy.gone is None for copy in keeper.copies(second)] == [False, True]
    assert keeper.row(second).deleted is None
    assert keeper.row(first).deleted is not None


def test_a_store_that_fails_is_tried_again_with_growing_pauses_and_never_forgotten(
    keeper: Keeper, kept_addon: int
) -> None:
    old = keeper.backup(kept_addon)
    keeper.backup(kept_addon)
    keeper.round(days=1)
    keeper.fail(None, clear=[StoreRefused("object lock")] * 9)
    keeper.clock.at += DAY
    pauses = []
    for tries in range(1, 10):
        keeper.round()
        (deletion,) = keeper.deletions(old)
        assert (deletion.tries, deletion.last_error) == (tries, "object lock")
        assert deletion.begun is not None
        assert deletion.next_try is not None
        pauses.append((deletion.next_try - keeper.clock.at) // MINUTE)
        keeper.clock.at = deletion.next_try - 1
        keeper.round()
        assert keeper.deletions(old)[0].tries == tries
        keeper.clock.at = deletion.next_try + MINUTE
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    keeper.round()
    assert keeper.deletions(old)[0].done is not None
    assert len(keeper.stored()) == 2


def test_done_only_when_the_store_says_that_nothing_is_left(
    keeper: Keeper, kept_addon: int
) -> None:
    old = keeper.backup(kept_addon)
    keeper.backup(kept_addon)
    keeper.round(days=1)
    straggler = keeper.platform.begin(f"{keeper.copies(old)[0].objects}straggler")
    forgetful = keeper.fail(None)
    forgetful.clear = lambda prefix: 0  # type: ignore[method-assign]

    keeper.round(days=1)
    assert "is still there" in str(keeper.deletions(old)[0].last_error)
    assert keeper.copies(old)[0].gone is None

    keeper.stores[None] = keeper.platform
    keeper.round(hours=1)
    assert keeper.copies(old)[0].gone is not None
    assert list(keeper.platform.list("", unfinished=True)) == []
    straggler.abort()


def test_a_pruner_that_dies_after_the_beginning_is_followed_by_one_that_ends_it(
    keeper: Keeper, kept_addon: int
) -> None:
    old = keeper.backup(kept_addon)
    keeper.backup(kept_addon)
    keeper.round(days=1)
    keeper.read_everything()
    keeper.fail(None, clear=[KeyboardInterrupt()])
    keeper.clock.at += DAY
    with pytest.raises(KeyboardInterrupt):
        keeper.pruner.carry_out(keeper.deletions(old)[0].pk)
    assert keeper.deletions(old)[0].begun is not None

    keeper.new_pruner().round()

    assert keeper.deletions(old)[0].done is not None
    assert len(keeper.stored()) == 2


def test_a_broken_place_does_not_hold_up_the_others(
    keeper: Keeper, new_addon: Callable[[], int]
) -> None:
    broken = keeper.destination("broken")
    going = []
    for _ in range(8):
        for place in (broken, None):
            addon = new_addon()
            going.append((place, keeper.backup(addon, places=(place,))))
            keeper.backup(addon, places=(place,))
    keeper.round(days=1)
    keeper.read_everything()
    hanging = threading.Event()
    keeper.fail(broken, clear=[hanging.wait, *[StoreUnavailable("away")] * 100])
    keeper.clock.at += DAY

    round_ = threading.Thread(target=keeper.pruner.round)
    round_.start()
    try:
        for _ in range(200):
            done = [bool(keeper.deletions(pk)[0].done) for place, pk in going if place is None]
            if all(done):
                break
            round_.join(0.05)
        assert all(done)
    finally:
        hanging.set()
        round_.join()
    tries = [keeper.deletions(pk)[0].tries for place, pk in going if place == broken]
    assert sum(tries) <= 4, "after a few failures in a row the place is left alone for a while"


def test_the_records_of_failures_go_as_well(keeper: Keeper, kept_addon: int) -> None:
    failures = [keeper.backup(kept_addon, Status.FAILED) for _ in range(3)]
    aborted = keeper.backup(kept_addon, Status.ABORTED)
    for _ in range(5):
        keeper.round(days=1)
    assert keeper.present(kept_addon) == failures[-1:]
    assert "which was aborted" in keeper.deletions(aborted)[0].reason
    assert keeper.row(failures[0]).deleted is not None


def test_several_pruners_at_once_do_it_once(keeper: Keeper, new_addon: Callable[[], int]) -> None:
    addons = [new_addon() for _ in range(4)]
    pks = [[keeper.backup(addon) for _ in range(6)] for addon in addons]
    for step in range(6):
        keeper.clock.at += DAY if step % 2 == 0 else HOUR
        pruners = [threading.Thread(target=keeper.new_pruner().round) for _ in range(3)]
        for each in pruners:
            each.start()
        for each in pruners:
            each.join()
    for each in pks:
        deleted = [keeper.deletions(pk) for pk in each]
        assert all(len(found) <= 1 for found in deleted)
        assert deleted[-1] == []
        assert all(d.tries == 1 for found in deleted for d in found if d.done)
        for pk in each:
            assert (keeper.copies(pk)[0].gone is not None) == (keeper.row(pk).deleted is not None)


def set_right(keeper: Keeper) -> list[int]:
    with keeper.catalog.write() as session:
        put_off = expiry.put_off(session, keeper.clock.at, POLICY)
        expiry.set_right(session, put_off, keeper.clock.at)
        return put_off


def test_a_clock_that_was_a_year_ahead_does_no_harm(keeper: Keeper, kept_addon: int) -> None:
    pks = [keeper.backup(kept_addon, days=7) for _ in range(4)]
    keeper.round(days=365)
    assert len(keeper.deletions(pks[0])) == 1

    keeper.clock.at -= 365 * DAY
    assert set_right(keeper) == [kept_addon]
    assert set_right(keeper) == []
    keeper.round(hours=1)

    assert keeper.deletions(pks[0])[0].called_off == "its retention time is not over yet"
    assert keeper.present(kept_addon) == pks
    keeper.round(days=7)
    assert keeper.deletions(pks[0])[-1].due == keeper.clock.at + DAY


def test_what_was_marked_by_a_clock_that_was_ahead_need_not_wait_for_it(
    keeper: Keeper, kept_addon: int
) -> None:
    old = keeper.backup(kept_addon)
    keeper.backup(kept_addon)
    keeper.round(days=365)
    keeper.clock.at -= 300 * DAY
    set_right(keeper)
    keeper.round(hours=1)
    assert keeper.deletions(old)[0].due == keeper.clock.at + DAY
    keeper.round(days=1)
    assert keeper.deletions(old)[0].done is not None


def test_an_additional_copy_that_nobody_made_shares_the_fate_of_the_whole(
    keeper: Keeper, kept_addon: int
) -> None:
    there = keeper.destination("there")
    failed = keeper.backup(kept_addon, Status.NOT_SUPPORTED, places=(None, there))
    with keeper.catalog.write() as session:
        session.get_one(
            type(keeper.copies(failed)[1]), keeper.copies(failed)[1].pk
        ).status = Status.SCHEDULED
    keeper.backup(kept_addon, places=(None, there))
    for _ in range(3):
        keeper.round(days=1)
    assert failed not in keeper.present(kept_addon)


def test_what_is_going_for_certain_is_not_counted_on(keeper: Keeper, kept_addon: int) -> None:
    old, new = keeper.backup(kept_addon, days=None), keeper.backup(kept_addon, days=None)
    keeper.delete(new)
    with keeper.catalog.read() as session:
        assert is_last_good(holdings.of_addon(session, kept_addon).held, old)
