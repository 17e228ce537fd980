"""Stored dumps are read in whole: a turned byte is found, and nothing older goes because of it."""

import logging

import pytest
from sqlalchemy import select, update

from fixtures.in_process_installation import BODY, MEMBER, InProcessInstallation
from fixtures.in_process_repairs import repair
from fixtures.in_process_snapshots import take
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


def read(installation: InProcessInstallation, within: int = MONTH) -> None:
    reader = Reader(installation.toolbox, within)
    reader.round()
    reader._lanes.wait(60)


def turn(
    installation: InProcessInstallation,
    backup_pk: int,
    place: int | None = None,
    name: str = MEMBER,
) -> str:
    """Turns one bit of an object; its key."""
    copy = next(c for c in installation.copies(backup_pk) if c.destination_pk == place)
    key = f"{copy.objects}{name}"
    installation.put(place, key, bytes([BODY[0] ^ 1]) + BODY[1:])
    return key


def the_copy(installation: InProcessInstallation, backup_pk: int) -> Copy:
    return installation.copies(backup_pk)[0]


@pytest.mark.parametrize("name", [MEMBER, "manifest.json"])
def test_a_turned_byte_is_found_within_the_time_and_alarms(
    installation: InProcessInstallation, addon_pk: int, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    good, bad = installation.backup(addon_pk, days=99), installation.backup(addon_pk, days=99)
    key = turn(installation, bad, name=name)
    installation.clock.at += MONTH // 2 - HOUR
    read(installation)
    assert the_copy(installation, bad).lost is None, "it was read back when it was made"

    installation.clock.at += 2 * HOUR
    with caplog.at_level(logging.ERROR):
        read(installation)
    assert "a backup is lost" in caplog.text
    assert (the_copy(installation, bad).spoiled, the_copy(installation, bad).lost) == (
        f"{key} is not what was written", installation.clock.at,
    )  # fmt: skip
    assert (the_copy(installation, good).lost, the_copy(installation, good).read_at) == (
        None,
        installation.clock.at,
    )
    (finding,) = installation.findings()
    assert (finding.kind, finding.reason) == ("lost", f"{key} is not what was written")


def test_listing_does_not_find_what_reading_lost_but_reading_does(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    pk = installation.backup(addon_pk, days=99)
    key = turn(installation, pk)
    installation.read_everything()
    installation.clock.at += DAY
    StoreChecker(installation.toolbox, DAY).round()
    assert the_copy(installation, pk).lost is not None
    installation.put(None, key)
    installation.clock.at += DAY
    read(installation)
    assert (the_copy(installation, pk).lost, the_copy(installation, pk).spoiled) == (None, None)
    assert installation.findings()[0].outcome == "all its objects are there again"


def test_what_stays_is_read_before_an_older_one_goes(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    older, newer = installation.backup(addon_pk), installation.backup(addon_pk)
    installation.round(days=2)
    assert the_copy(installation, older).marked is not None
    turn(installation, newer)  # after it was proven, and after the older one was marked
    installation.round(days=2)
    installation.round(days=2)
    assert the_copy(installation, newer).lost is not None
    assert installation.present(addon_pk) == [older, newer]
    (deletion,) = installation.deletions(older)
    assert deletion.called_off is not None


def test_a_deletion_says_what_it_waits_for_and_goes_on_at_once(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    older, newer = installation.backup(addon_pk), installation.backup(addon_pk)
    installation.round(days=2)
    installation.clock.at += 2 * DAY
    installation.pruner.round()
    (deletion,) = installation.deletions(older)
    assert deletion.last_error == (
        f"waits: {installation.row(newer).id}, which has to stay, is read in whole first"
    )
    assert (deletion.tries, the_copy(installation, newer).read_asked) == (0, installation.clock.at)
    read(installation, within=0)
    installation.pruner.round()
    assert installation.present(addon_pk) == [newer]


def test_a_backup_made_after_the_marking_is_not_read_again(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    older = installation.backup(addon_pk)
    installation.backup(addon_pk)
    installation.round(days=2)
    installation.clock.at += HOUR
    newest = installation.backup(addon_pk)
    counted = installation.fail(None)
    installation.clock.at += DAY
    installation.pruner.round()
    assert installation.deletions(older)[0].done == installation.clock.at
    assert the_copy(installation, newest).read_asked is None
    assert "get" not in counted.calls


def test_a_store_that_does_not_answer_loses_nothing(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    pk = installation.backup(addon_pk, days=99)
    installation.fail(None, read=[StoreUnavailable("away")])
    installation.read_everything()
    copy = the_copy(installation, pk)
    assert (copy.lost, copy.read_try) == (None, installation.clock.at + 600_000)
    installation.clock.at += HOUR
    read(installation, within=0)
    assert (the_copy(installation, pk).read_at, the_copy(installation, pk).read_asked) == (
        installation.clock.at, None,
    )  # fmt: skip


def test_a_bit_that_turned_on_the_wire_once_is_no_loss(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    pk = installation.backup(addon_pk, days=99)
    key = turn(installation, pk)

    def heal() -> None:
        installation.platform.begin(key)
        upload = installation.platform.begin(key)
        upload.write(BODY)
        upload.commit()

    installation.fail(None, get=[None, None, heal])
    installation.read_everything()
    assert (the_copy(installation, pk).lost, the_copy(installation, pk).read_at) == (
        None,
        installation.clock.at,
    )


def test_one_process_reads_a_dump_and_a_dead_ones_is_taken_over(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    pk = installation.backup(addon_pk, days=99)
    copy_pk, now = the_copy(installation, pk).pk, installation.clock.at
    with installation.catalog.write() as session:
        dump_checks.ask(session, [copy_pk], now)
        assert dump_checks.take(session, copy_pk, now)
        assert not dump_checks.take(session, copy_pk, now)
        assert dump_checks.hold_on(session, copy_pk, now + dump_checks.LEASE_MS, now + 1)
        assert not dump_checks.hold_on(session, copy_pk, now + dump_checks.LEASE_MS, now + 2)
    counted = installation.fail(None)
    read(installation)
    assert counted.calls == []
    installation.clock.at += HOUR
    read(installation)
    assert the_copy(installation, pk).read_at == installation.clock.at


def test_a_clock_that_was_ahead_puts_no_reading_off(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    pk = installation.backup(addon_pk, days=9999)
    with installation.catalog.write() as session:
        ahead = installation.clock.at + 500 * DAY
        session.execute(update(Copy).values(read_at=ahead, read_try=ahead))
    read(installation)
    assert the_copy(installation, pk).read_at == installation.clock.at


def test_everything_is_read_when_somebody_asks_for_it(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    there = installation.destination("there")
    here, other = installation.backup(addon_pk), installation.backup(addon_pk, places=(there,))
    installation.backup(addon_pk, Status.FAILED)
    installation.clock.at += HOUR
    with installation.catalog.write() as session:
        dump_checks.ask_for_destination(session, there, installation.clock.at)
    read(installation, within=0)
    assert (the_copy(installation, other).read_at, the_copy(installation, here).read_at) == (
        installation.clock.at, installation.clock.at - HOUR,
    )  # fmt: skip


def test_what_a_repository_read_too_long_ago_is_asked_for(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    older, newer = take(installation, addon_pk), take(installation, addon_pk)
    installation.round(days=2)
    installation.clock.at += 60 * DAY
    installation.pruner.round()
    assert installation.deletions(older)[0].last_error.startswith("waits: ")
    assert installation.rows(
        select(chores.Chore.name).where(chores.Chore.name.startswith("reading"))
    )
    store_checker = StoreChecker(installation.toolbox, 0)
    store_checker.round()
    store_checker._lanes.wait(60)
    installation.round(hours=1)
    assert installation.present(addon_pk) == [newer]


def test_a_damaged_dump_is_made_again_from_its_other_copy(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    there = installation.destination("there")
    pk = installation.backup(addon_pk, days=99, places=(None, there))
    turn(installation, pk)
    installation.read_everything()
    assert [copy.lost is not None for copy in installation.copies(pk)] == [True, False]
    with installation.catalog.write() as session:
        assert (
            snapshot_upkeep.order_repairs(
                session, installation.toolbox.queue, installation.clock.at
            )
            == 1
        )
    repair(installation, the_copy(installation, pk))
    copy = the_copy(installation, pk)
    assert (copy.lost, copy.spoiled, copy.read_at) == (None, None, installation.clock.at)
    key = f"{copy.objects}{MEMBER}"
    assert b"".join(installation.platform.get(key)) == BODY
    assert installation.findings()[0].outcome == "it was made again from another copy"


def test_a_dump_is_not_repaired_from_a_copy_that_is_wrong_too(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    there = installation.destination("there")
    pk = installation.backup(addon_pk, days=99, places=(None, there))
    turn(installation, pk)
    installation.read_everything()
    turn(installation, pk, there)  # nobody has noticed yet
    with pytest.raises(Failure, match="is not what was written"):
        repair(installation, the_copy(installation, pk))
    assert the_copy(installation, pk).lost is not None
    read(installation, within=0)
    assert all(copy.lost is not None for copy in installation.copies(pk)), "it was read at once"
