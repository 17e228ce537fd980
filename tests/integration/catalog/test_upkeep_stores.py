"""Upkeep and stores that are away, fail, or keep what they were told to remove."""

import threading
from collections.abc import Callable

from fixtures.in_process_installation import InProcessInstallation
from fixtures.timetables import DAY, MINUTE
from holdfast.domain.errors import StoreRefused, StoreUnavailable


def test_when_the_store_of_the_newest_is_away_nothing_goes_yet(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    there = installation.destination("there")
    old = installation.backup(addon_pk)
    installation.backup(addon_pk, places=(there,))
    installation.backup(addon_pk)  # the newest here is not the newest of all
    installation.backup(addon_pk, places=(there,))
    installation.round(days=1)
    faulty = installation.fail(there, list=[StoreUnavailable("no answer")] * 2)

    installation.round(days=1)
    (deletion,) = installation.deletions(old)
    assert (deletion.begun, deletion.tries, deletion.last_error) == (None, 1, "no answer")
    assert deletion.next_try == installation.clock.at + MINUTE
    assert installation.row(old).deleted is None

    installation.clock.at += 2 * MINUTE
    installation.round()
    assert installation.deletions(old)[0].tries == 2
    installation.round(hours=1)
    assert installation.deletions(old)[0].done == installation.clock.at
    assert faulty.unused() == {}


def test_a_store_that_fails_is_tried_again_with_growing_pauses_and_never_forgotten(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    old = installation.backup(addon_pk)
    installation.backup(addon_pk)
    installation.round(days=1)
    installation.fail(None, clear=[StoreRefused("object lock")] * 9)
    installation.clock.at += DAY
    pauses = []
    for tries in range(1, 10):
        installation.round()
        (deletion,) = installation.deletions(old)
        assert (deletion.tries, deletion.last_error) == (tries, "object lock")
        assert deletion.begun is not None
        assert deletion.next_try is not None
        pauses.append((deletion.next_try - installation.clock.at) // MINUTE)
        installation.clock.at = deletion.next_try - 1
        installation.round()
        assert installation.deletions(old)[0].tries == tries
        installation.clock.at = deletion.next_try + MINUTE
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    installation.round()
    assert installation.deletions(old)[0].done is not None
    assert len(installation.stored()) == 2


def test_done_only_when_the_store_says_that_nothing_is_left(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    old = installation.backup(addon_pk)
    installation.backup(addon_pk)
    installation.round(days=1)
    straggler = installation.platform.begin(f"{installation.copies(old)[0].objects}straggler")
    forgetful = installation.fail(None)
    forgetful.clear = lambda prefix: 0  # type: ignore[method-assign]

    installation.round(days=1)
    assert "is still there" in str(installation.deletions(old)[0].last_error)
    assert installation.copies(old)[0].gone is None

    installation.stores[None] = installation.platform
    installation.round(hours=1)
    assert installation.copies(old)[0].gone is not None
    assert list(installation.platform.list("", unfinished=True)) == []
    straggler.abort()


def test_a_broken_place_does_not_hold_up_the_others(
    installation: InProcessInstallation, new_addon: Callable[[], int]
) -> None:
    broken = installation.destination("broken")
    going = []
    for _ in range(8):
        for place in (broken, None):
            addon = new_addon()
            going.append((place, installation.backup(addon, places=(place,))))
            installation.backup(addon, places=(place,))
    installation.round(days=1)
    installation.read_everything()
    hanging = threading.Event()
    installation.fail(broken, clear=[hanging.wait, *[StoreUnavailable("away")] * 100])
    installation.clock.at += DAY

    round_ = threading.Thread(target=installation.pruner.round)
    round_.start()
    try:
        for _ in range(200):
            done = [
                bool(installation.deletions(pk)[0].done) for place, pk in going if place is None
            ]
            if all(done):
                break
            round_.join(0.05)
        assert all(done)
    finally:
        hanging.set()
        round_.join()
    tries = [installation.deletions(pk)[0].tries for place, pk in going if place == broken]
    assert sum(tries) <= 4, "after a few failures in a row the place is left alone for a while"
