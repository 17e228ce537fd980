"""Retention at work, on SQLite and PostgreSQL: marked, waiting, judged again, looked at, gone."""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from fixtures.in_process_installation import POLICY, InProcessInstallation
from fixtures.timetables import DAY, HOUR, MINUTE
from holdfast.catalog.storage import holdings
from holdfast.domain.operation import Status
from holdfast.domain.retention.rules import is_last_good
from holdfast.kit.clock import rfc3339
from holdfast.usecases.retention import expiry


def test_what_expired_is_marked_with_its_reason_waits_and_goes(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    old = installation.backup(addon_pk)
    installation.clock.at += HOUR
    new = installation.backup(addon_pk)

    installation.round(hours=22)
    assert installation.deletions(old) == []

    installation.round(hours=1)
    (deletion,) = installation.deletions(old)
    assert deletion.due == installation.clock.at + DAY
    for part in (
        installation.row(old).id,
        "kept for 1 day, until",
        installation.row(new).id,
        rfc3339(installation.row(old).created),
    ):
        assert part in deletion.reason
    assert installation.copies(old)[0].marked == installation.clock.at
    assert installation.row(old).deleted is None

    installation.round(hours=23)
    assert len(installation.stored()) == 4

    installation.round(hours=1)
    assert installation.present(addon_pk) == [new]
    assert [key for key in installation.stored() if installation.row(old).uid in key] == []
    (deletion,) = installation.deletions(old)
    assert (deletion.begun, deletion.done, deletion.tries) == (
        installation.clock.at,
        installation.clock.at,
        1,
    )
    assert (
        installation.copies(old)[0].gone == installation.row(old).deleted == installation.clock.at
    )


def test_the_last_good_backup_never_goes_however_old(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    only = installation.backup(addon_pk)
    for _ in range(20):
        installation.round(days=300)
    assert installation.deletions(only) == []
    assert len(installation.stored()) == 2


def test_nothing_good_goes_while_newer_ones_fail(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    good = [installation.backup(addon_pk) for _ in range(3)]
    installation.backup(addon_pk, Status.FAILED)
    newest_failure = installation.backup(addon_pk, Status.FAILED)
    for _ in range(10):
        installation.round(days=30)
    assert installation.present(addon_pk) == [*good, newest_failure]

    again = installation.backup(addon_pk)
    for _ in range(10):
        installation.round(days=2)
    assert installation.present(addon_pk) == [again]
    assert len(installation.stored()) == 2


def test_a_failure_during_the_grace_calls_it_off(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    old = installation.backup(addon_pk)
    installation.backup(addon_pk)
    installation.round(days=1)
    installation.clock.at += DAY - MINUTE
    installation.backup(addon_pk, Status.FAILED)

    installation.round(hours=1)

    (deletion,) = installation.deletions(old)
    assert (
        deletion.called_off
        == "newer backups failed or were lost, so age alone is no reason to delete it"
    )
    assert deletion.done is not None
    assert deletion.begun is None
    assert installation.copies(old)[0].marked is None
    assert len(installation.stored()) == 4


def test_one_run_marks_no_more_than_its_share_and_the_next_goes_on(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    pks = [installation.backup(addon_pk) for _ in range(9)]
    marked = []
    installation.clock.at += DAY
    for _ in range(4):
        installation.pruner.round()
        installation.pruner.round()  # the same run: not before its pause is over
        marked.append(sum(len(installation.deletions(pk)) for pk in pks))
        installation.clock.at += HOUR
    assert marked == [2, 3, 4, 5]
    assert [len(installation.deletions(pk)) for pk in pks] == [1] * 5 + [0] * 4


def test_all_at_once_when_told_to(installation: InProcessInstallation, addon_pk: int) -> None:
    for _ in range(9):
        installation.backup(addon_pk)
    installation.clock.at += DAY
    with installation.catalog.write() as session:
        pruned = expiry.prune_addon(
            session, addon_pk, installation.clock.at, replace(POLICY, share=1.0)
        )
    assert (pruned.marked, pruned.called_off, pruned.expired) == (8, 0, 0)


def test_retain_calls_off_at_once_and_for_ever(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    old = installation.backup(addon_pk)
    installation.backup(addon_pk)
    installation.round(days=1)

    installation.retain(old)

    (deletion,) = installation.deletions(old)
    assert deletion.called_off == "retained by tester"
    assert installation.copies(old)[0].marked is None
    for _ in range(5):
        installation.round(days=50)
    assert len(installation.stored()) == 4


def test_what_is_being_restored_does_not_begin_to_go(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    old = installation.backup(addon_pk)
    installation.backup(addon_pk)
    installation.round(days=1)
    restore = installation.restore(old, addon_pk)
    installation.round(days=1)
    assert installation.deletions(old)[0].called_off == "it is being restored or downloaded"
    assert len(installation.stored()) == 4

    installation.end_restore(restore)
    installation.round(days=1)
    installation.round(days=1)
    assert len(installation.stored()) == 2


def test_before_one_goes_the_newest_is_looked_up_in_its_store(
    installation: InProcessInstallation, addon_pk: int, caplog: pytest.LogCaptureFixture
) -> None:
    oldest, old, new = (installation.backup(addon_pk) for _ in range(3))
    installation.round(days=1)
    installation.vanish(new)

    with caplog.at_level(logging.ERROR):
        installation.round(days=1)

    assert installation.copies(new)[0].lost == installation.clock.at
    (finding,) = installation.findings()
    assert (finding.kind, finding.copy_pk) == ("lost", installation.copies(new)[0].pk)
    assert "manifest.json is missing" in finding.reason
    assert "a backup is lost" in caplog.text
    assert "newer backups failed or were lost" in str(installation.deletions(oldest)[0].called_off)
    assert len(installation.stored()) == 4
    for _ in range(5):
        installation.round(days=10)
    assert installation.present(addon_pk) == [oldest, old, new]


def test_a_member_of_another_size_is_as_bad_as_none(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    installation.backup(addon_pk)
    new = installation.backup(addon_pk)
    installation.round(days=1)
    installation.put(None, f"{installation.copies(new)[0].objects}postgres.dump.gz", b"cut")

    installation.round(days=1)

    assert "holds 3 bytes, 100 were proven" in installation.findings()[0].reason
    assert len(installation.stored()) == 4


def test_the_newest_copy_of_each_place_stays(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    there = installation.destination("there")
    first = installation.backup(addon_pk, places=(None, there))
    second = installation.backup(addon_pk, places=(None, there))
    third = installation.backup(addon_pk)
    for _ in range(6):
        installation.round(days=2)
    assert installation.present(addon_pk) == [second, third]
    assert [copy.gone is None for copy in installation.copies(second)] == [False, True]
    assert installation.row(second).deleted is None
    assert installation.row(first).deleted is not None


def test_a_pruner_that_dies_after_the_beginning_is_followed_by_one_that_ends_it(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    old = installation.backup(addon_pk)
    installation.backup(addon_pk)
    installation.round(days=1)
    installation.read_everything()
    installation.fail(None, clear=[KeyboardInterrupt()])
    installation.clock.at += DAY
    with pytest.raises(KeyboardInterrupt):
        installation.pruner.carry_out(installation.deletions(old)[0].pk)
    assert installation.deletions(old)[0].begun is not None

    installation.new_pruner().round()

    assert installation.deletions(old)[0].done is not None
    assert len(installation.stored()) == 2


def test_the_records_of_failures_go_as_well(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    failures = [installation.backup(addon_pk, Status.FAILED) for _ in range(3)]
    aborted = installation.backup(addon_pk, Status.ABORTED)
    for _ in range(5):
        installation.round(days=1)
    assert installation.present(addon_pk) == failures[-1:]
    assert "which was aborted" in installation.deletions(aborted)[0].reason
    assert installation.row(failures[0]).deleted is not None


def test_several_pruners_at_once_do_it_once(
    installation: InProcessInstallation, new_addon: Callable[[], int]
) -> None:
    addons = [new_addon() for _ in range(4)]
    pks = [[installation.backup(addon) for _ in range(6)] for addon in addons]
    for step in range(6):
        installation.clock.at += DAY if step % 2 == 0 else HOUR
        pruners = [threading.Thread(target=installation.new_pruner().round) for _ in range(3)]
        for each in pruners:
            each.start()
        for each in pruners:
            each.join()
    for each in pks:
        deleted = [installation.deletions(pk) for pk in each]
        assert all(len(found) <= 1 for found in deleted)
        assert deleted[-1] == []
        assert all(d.tries == 1 for found in deleted for d in found if d.done)
        for pk in each:
            assert (installation.copies(pk)[0].gone is not None) == (
                installation.row(pk).deleted is not None
            )


def set_right(installation: InProcessInstallation) -> list[int]:
    with installation.catalog.write() as session:
        put_off = expiry.put_off(session, installation.clock.at, POLICY)
        expiry.set_right(session, put_off, installation.clock.at)
        return put_off


def test_a_clock_that_was_a_year_ahead_does_no_harm(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    pks = [installation.backup(addon_pk, days=7) for _ in range(4)]
    installation.round(days=365)
    assert len(installation.deletions(pks[0])) == 1

    installation.clock.at -= 365 * DAY
    assert set_right(installation) == [addon_pk]
    assert set_right(installation) == []
    installation.round(hours=1)

    assert installation.deletions(pks[0])[0].called_off == "its retention time is not over yet"
    assert installation.present(addon_pk) == pks
    installation.round(days=7)
    assert installation.deletions(pks[0])[-1].due == installation.clock.at + DAY


def test_what_was_marked_by_a_clock_that_was_ahead_need_not_wait_for_it(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    old = installation.backup(addon_pk)
    installation.backup(addon_pk)
    installation.round(days=365)
    installation.clock.at -= 300 * DAY
    set_right(installation)
    installation.round(hours=1)
    assert installation.deletions(old)[0].due == installation.clock.at + DAY
    installation.round(days=1)
    assert installation.deletions(old)[0].done is not None


def test_an_additional_copy_that_nobody_made_shares_the_fate_of_the_whole(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    there = installation.destination("there")
    failed = installation.backup(addon_pk, Status.NOT_SUPPORTED, places=(None, there))
    with installation.catalog.write() as session:
        session.get_one(
            type(installation.copies(failed)[1]), installation.copies(failed)[1].pk
        ).status = Status.SCHEDULED
    installation.backup(addon_pk, places=(None, there))
    for _ in range(3):
        installation.round(days=1)
    assert failed not in installation.present(addon_pk)


def test_what_is_going_for_certain_is_not_counted_on(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    old, new = installation.backup(addon_pk, days=None), installation.backup(addon_pk, days=None)
    installation.delete(new)
    with installation.catalog.read() as session:
        assert is_last_good(holdings.of_addon(session, addon_pk).held, old)
