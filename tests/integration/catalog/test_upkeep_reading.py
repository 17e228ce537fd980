"""Stored dumps are read in whole: a turned byte is found, and nothing older goes because of it."""

import logging

import pytest
from sqlalchemy import select, update

from fixtures.keeping import BODY, MEMBER, Keeper
from fixtures.kept_repairs import repair
from fixtures.kept_snapshots import take
from fixtures.timetables import DAY, HOUR
from holdfast.catalog.schema import Copy
from holdfast.catalog.storage import dump_checks
from holdfast.catalog.work import chores
from holdfast.daemons.reader import Reader
from holdfast.daemons.store_checker import StoreChecker
from holdfast.domain.errors import Failure, StoreUnavailable
from holdfast.domain.operation import Status
from holdfast.usecases.snapshots import snapshot_upkeep

MONTH = 30 * DAY


def read(keeper: Keeper, within: int = MONTH) -> None:
    reader = Reader(keeper.toolbox, within)
    reader.round()
    reader._lanes.wait(60)


def turn(keeper: Keeper, backup_pk: int, place: int | None = None, name: str = MEMBER) -> str:
    """Turns one bit of an object; its key."""
    copy = next(c for c in keeper.copies(backup_pk) if c.destination_pk == place)
    key = f"{copy.objects}{name}"
    keeper.put(place, key, bytes([BODY[0] ^ 1]) + BODY[1:])
    return key


def the_copy(keeper: Keeper, backup_pk: int) -> Copy:
    return keeper.copies(backup_pk)[0]


@pytest.mark.parametrize("name", [MEMBER, "manifest.json"])
def test_a_turned_byte_is_found_within_the_time_and_alarms(
    keeper: Keeper, kept_addon: int, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    good, bad = keeper.backup(kept_addon, days=99), keeper.backup(kept_addon, days=99)
    key = turn(keeper, bad, name=name)
    keeper.clock.at += MONTH // 2 - HOUR
    read(keeper)
    assert the_copy(keeper, bad).lost is None, "it was read back when it was made"

    keeper.clock.at += 2 * HOUR
    with caplog.at_level(logging.ERROR):
        read(keeper)
    assert "a backup is lost" in caplog.text
    assert (the_copy(keeper, bad).spoiled, the_copy(keeper, bad).lost) == (
        f"{key} is not what was written", keeper.clock.at,
    )  # fmt: skip
    assert (the_copy(keeper, good).lost, the_copy(keeper, good).read_at) == (None, keeper.clock.at)
    (finding,) = keeper.findings()
    assert (finding.kind, finding.reason) == ("lost", f"{key} is not what was written")


def test_listing_does_not_find_what_reading_lost_but_reading_does(
    keeper: Keeper, kept_addon: int
) -> None:
    pk = keeper.backup(kept_addon, days=99)
    key = turn(keeper, pk)
    keeper.read_everything()
    keeper.clock.at += DAY
    StoreChecker(keeper.toolbox, DAY).round()
    assert the_copy(keeper, pk).lost is not None
    keeper.put(None, key)
    keeper.clock.at += DAY
    read(keeper)
    assert (the_copy(keeper, pk).lost, the_copy(keeper, pk).spoiled) == (None, None)
    assert keeper.findings()[0].outcome == "all its objects are there again"


def test_what_stays_is_read_before_an_older_one_goes(keeper: Keeper, kept_addon: int) -> None:
    older, newer = keeper.backup(kept_addon), keeper.backup(kept_addon)
    keeper.round(days=2)
    assert the_copy(keeper, older).marked is not None
    turn(keeper, newer)  # after it was proven, and after the older one was marked
    keeper.round(days=2)
    keeper.round(days=2)
    assert the_copy(keeper, newer).lost is not None
    assert keeper.present(kept_addon) == [older, newer]
    (deletion,) = keeper.deletions(older)
    assert deletion.called_off is not None


def test_a_deletion_says_what_it_waits_for_and_goes_on_at_once(
    keeper: Keeper, kept_addon: int
) -> None:
    older, newer = keeper.backup(kept_addon), keeper.backup(kept_addon)
    keeper.round(days=2)
    keeper.clock.at += 2 * DAY
    keeper.pruner.round()
    (deletion,) = keeper.deletions(older)
    assert deletion.last_error == (
        f"waits: {keeper.row(newer).id}, which has to stay, is read in whole first"
    )
    assert (deletion.tries, the_copy(keeper, newer).read_asked) == (0, keeper.clock.at)
    read(keeper, within=0)
    keeper.pruner.round()
    assert keeper.present(kept_addon) == [newer]


def test_a_backup_made_after_the_marking_is_not_read_again(keeper: Keeper, kept_addon: int) -> None:
    older = keeper.backup(kept_addon)
    keeper.backup(kept_addon)
    keeper.round(days=2)
    keeper.clock.at += HOUR
    newest = keeper.backup(kept_addon)
    counted = keeper.fail(None)
    keeper.clock.at += DAY
    keeper.pruner.round()
    assert keeper.deletions(older)[0].done == keeper.clock.at
    assert the_copy(keeper, newest).read_asked is None
    assert "get" not in counted.calls


def test_a_store_that_does_not_answer_loses_nothing(keeper: Keeper, kept_addon: int) -> None:
    pk = keeper.backup(kept_addon, days=99)
    keeper.fail(None, read=[StoreUnavailable("away")])
    keeper.read_everything()
    copy = the_copy(keeper, pk)
    assert (copy.lost, copy.read_try) == (None, keeper.clock.at + 600_000)
    keeper.clock.at += HOUR
    read(keeper, within=0)
    assert (the_copy(keeper, pk).read_at, the_copy(keeper, pk).read_asked) == (
        keeper.clock.at, None,
    )  # fmt: skip


def test_a_bit_that_turned_on_the_wire_once_is_no_loss(keeper: Keeper, kept_addon: int) -> None:
    pk = keeper.backup(kept_addon, days=99)
    key = turn(keeper, pk)

    def heal() -> None:
        keeper.platform.begin(key)
        upload = keeper.platform.begin(key)
        upload.write(BODY)
        upload.commit()

    keeper.fail(None, get=[None, None, heal])
    keeper.read_everything()
    assert (the_copy(keeper, pk).lost, the_copy(keeper, pk).read_at) == (None, keeper.clock.at)


def test_one_process_reads_a_dump_and_a_dead_ones_is_taken_over(
    keeper: Keeper, kept_addon: int
) -> None:
    pk = keeper.backup(kept_addon, days=99)
    copy_pk, now = the_copy(keeper, pk).pk, keeper.clock.at
    with keeper.catalog.write() as session:
        dump_checks.ask(session, [copy_pk], now)
        assert dump_checks.take(session, copy_pk, now)
        assert not dump_checks.take(session, copy_pk, now)
        assert dump_checks.hold_on(session, copy_pk, now + dump_checks.LEASE_MS, now + 1)
        assert not dump_checks.hold_on(session, copy_pk, now + dump_checks.LEASE_MS, now + 2)
    counted = keeper.fail(None)
    read(keeper)
    assert counted.calls == []
    keeper.clock.at += HOUR
    read(keeper)
    assert the_copy(keeper, pk).read_at == keeper.clock.at


def test_a_clock_that_was_ahead_puts_no_reading_off(keeper: Keeper, kept_addon: int) -> None:
    pk = keeper.backup(kept_addon, days=9999)
    with keeper.catalog.write() as session:
        ahead = keeper.clock.at + 500 * DAY
        session.execute(update(Copy).values(read_at=ahead, read_try=ahead))
    read(keeper)
    assert the_copy(keeper, pk).read_at == keeper.clock.at


def test_everything_is_read_when_somebody_asks_for_it(keeper: Keeper, kept_addon: int) -> None:
    there = keeper.destination("there")
    here, other = keeper.backup(kept_addon), keeper.backup(kept_addon, places=(there,))
    keeper.backup(kept_addon, Status.FAILED)
    keeper.clock.at += HOUR
    with keeper.catalog.write() as session:
        dump_checks.ask_for_destination(session, there, keeper.clock.at)
    read(keeper, within=0)
    assert (the_copy(keeper, other).read_at, the_copy(keeper, here).read_at) == (
        keeper.clock.at, keeper.clock.at - HOUR,
    )  # fmt: skip


def test_what_a_repository_read_too_long_ago_is_asked_for(keeper: Keeper, kept_addon: int) -> None:
    older, newer = take(keeper, kept_addon), take(keeper, kept_addon)
    keeper.round(days=2)
    keeper.clock.at += 60 * DAY
    keeper.pruner.round()
    assert keeper.deletions(older)[0].last_error.startswith("waits: ")
    assert keeper.rows(select(chores.Chore.name).where(chores.Chore.name.startswith("reading")))
    store_checker = StoreChecker(keeper.toolbox, 0)
    store_checker.round()
    store_checker._lanes.wait(60)
    keeper.round(hours=1)
    assert keeper.present(kept_addon) == [newer]


def test_a_damaged_dump_is_made_again_from_its_other_copy(keeper: Keeper, kept_addon: int) -> None:
    there = keeper.destination("there")
    pk = keeper.backup(kept_addon, days=99, places=(None, there))
    turn(keeper, pk)
    keeper.read_everything()
    assert [copy.lost is not None for copy in keeper.copies(pk)] == [True, False]
    with keeper.catalog.write() as session:
        assert snapshot_upkeep.order_repairs(session, keeper.toolbox.queue, keeper.clock.at) == 1
    repair(keeper, the_copy(keeper, pk))
    copy = the_copy(keeper, pk)
    assert (copy.lost, copy.spoiled, copy.read_at) == (None, None, keeper.clock.at)
    key = f"{copy.objects}{MEMBER}"
    assert b"".join(keeper.platform.get(key)) == BODY
    assert keeper.findings()[0].outcome == "it was made again from another copy"


def test_a_dump_is_not_repaired_from_a_copy_that_is_wrong_too(
    keeper: Keeper, kept_addon: int
) -> None:
    there = keeper.destination("there")
    pk = keeper.backup(kept_addon, days=99, places=(None, there))
    turn(keeper, pk)
    keeper.read_everything()
    turn(keeper, pk, there)  # nobody has noticed yet
    with pytest.raises(Failure, match="is not what was written"):
        repair(keeper, the_copy(keeper, pk))
    assert the_copy(keeper, pk).lost is not None
    read(keeper, within=0)
    assert all(copy.lost is not None for copy in keeper.copies(pk)), "it was read at once"
