"""The row of facts follows every change in the transaction that makes it."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from fixtures.in_process_installation import InProcessInstallation as Installation
from fixtures.timetables import DAY, HOUR
from holdfast.catalog import objectives, protected_rows, protection
from holdfast.catalog.schema import Addon, Backup, Copy, Occurrence, Operation, Restore, Schedule
from holdfast.catalog.storage import copies
from holdfast.catalog.work import operations
from holdfast.contracts.queue import Dispatch
from holdfast.daemons.protection import ProtectionCheck
from holdfast.domain.addon import Desired
from holdfast.domain.operation import Status
from holdfast.domain.protection import Day, Facts, Objective, State, judge
from holdfast.kit import ids


def facts_of(installation: Installation, addon_pk: int) -> Facts:
    """Also proves that the row is what is derived from nothing."""
    with installation.catalog.read() as session:
        assert protection.differences(session, [addon_pk]) == {}
        return protected_rows.row_of(session, addon_pk).facts


def days_of(installation: Installation, addon_pk: int) -> list[Day]:
    with installation.catalog.read() as session:
        return list(protected_rows.row_of(session, addon_pk).days)


def scheduled(installation: Installation, addon_pk: int) -> int:
    with installation.catalog.write() as session:
        row = Schedule(
            id=ids.hex24(), addon_pk=addon_pk, type="dump", compression="gz", additional=[],
            interval="daily", minute=[0], hour=[3], day=[], retention=7,
            next_due=installation.clock.at + HOUR, created=installation.clock.at,
            updated=installation.clock.at,
        )  # fmt: skip
        session.add(row)
        session.flush()
        return row.pk


def decided(
    installation: Installation,
    schedule_pk: int,
    outcome: str,
    backup_pk: int | None = None,
) -> None:
    with installation.catalog.write() as session:
        session.add(
            Occurrence(
                schedule_pk=schedule_pk,
                instant=installation.clock.at,
                since=installation.clock.at,
                count=1,
                outcome=outcome,
                reason="",
                backup_pk=backup_pk,
                decided=installation.clock.at,
            )
        )
        session.get_one(Schedule, schedule_pk).next_due = installation.clock.at + DAY


def test_an_addon_has_facts_from_its_first_second(
    installation: Installation, addon_pk: int
) -> None:
    facts = facts_of(installation, addon_pk)
    assert (facts.planned, facts.last_good, facts.places) == (None, None, 0)


def test_good_and_failed_backups_show_at_once(installation: Installation, addon_pk: int) -> None:
    installation.backup(addon_pk)
    first = installation.clock.at
    installation.clock.at += DAY
    installation.backup(addon_pk)
    installation.clock.at += DAY
    installation.backup(addon_pk, Status.FAILED)
    with installation.catalog.write() as session:
        session.get_one(Addon, addon_pk).name = "other"  # some change in a later transaction
    facts = facts_of(installation, addon_pk)
    assert (facts.first_good, facts.last_good) == (first, first + DAY)
    assert facts.failing == installation.clock.at


def test_a_lost_copy_and_one_that_is_found_again(installation: Installation, addon_pk: int) -> None:
    away = installation.destination("away")
    backup_pk = installation.backup(addon_pk, places=(None, away))
    assert facts_of(installation, addon_pk).places == 2
    copy = installation.copies(backup_pk)[1]
    with installation.catalog.write() as session:
        copies.lose(session, copy.pk, installation.clock.at)
    facts = facts_of(installation, addon_pk)
    assert (facts.places, facts.lost, facts.lost_since) == (1, 1, installation.clock.at)
    with installation.catalog.write() as session:
        copies.lose(session, copy.pk, None)
    assert (facts_of(installation, addon_pk).places, facts_of(installation, addon_pk).lost) == (
        2,
        0,
    )


def test_a_deleted_backup_is_no_recovery_point_but_its_day_stays_good(
    installation: Installation, addon_pk: int
) -> None:
    schedule_pk = scheduled(installation, addon_pk)
    older = installation.backup(addon_pk)
    decided(installation, schedule_pk, "fired", older)
    installation.clock.at += DAY
    newer = installation.backup(addon_pk)
    decided(installation, schedule_pk, "fired", newer)
    installation.clock.at += DAY
    decided(installation, schedule_pk, "missed")
    installation.delete(newer)
    assert facts_of(installation, addon_pk).last_good == installation.row(older).created
    counted = [(day.due, day.good, day.missed) for day in days_of(installation, addon_pk)]
    assert counted == [(1, 1, 0), (1, 1, 0), (1, 0, 1)]


def test_the_last_copy_that_vanishes_takes_the_recovery_point(
    installation: Installation, addon_pk: int
) -> None:
    backup_pk = installation.backup(addon_pk)
    with installation.catalog.write() as session:
        copies.lose(session, installation.copies(backup_pk)[0].pk, installation.clock.at)
    facts = facts_of(installation, addon_pk)
    assert facts.last_good is None
    assert facts.failure == "its copies are lost or deleted"


def test_a_restore_that_ends_well_is_a_proof(installation: Installation, addon_pk: int) -> None:
    backup_pk, started = installation.backup(addon_pk), installation.clock.at
    with installation.catalog.write() as session:
        operation = Operation(
            id=ids.hex24(), addon_pk=addon_pk, kind="restore", lane="any", priority=5,
            status=Status.IN_PROGRESS, slot=1, fence=1, attempt=1, arguments={}, record={},
            created=started, started=started,
        )  # fmt: skip
        session.add(operation)
        session.add(
            Restore(
                id=ids.hex24(),
                backup_pk=backup_pk,
                addon_pk=addon_pk,
                created=started,
                status=Status.IN_PROGRESS,
                operation=operation.id,
            )
        )
        dispatch = Dispatch(operation.id, 1)
    installation.clock.at += HOUR
    ending = operations.Ending(Status.COMPLETED)
    with installation.catalog.write() as session:
        operations.finish(
            session, installation.toolbox.queue, dispatch, ending, installation.clock.at
        )
    facts = facts_of(installation, addon_pk)
    assert (facts.proven, facts.proof_ms) == (installation.clock.at, HOUR)
    with installation.catalog.write() as session:  # its rows age out; the proof is remembered
        for row in session.scalars(select(Restore)):
            session.delete(row)
        session.get_one(Addon, addon_pk).name = "other"
    assert facts_of(installation, addon_pk).proven == installation.clock.at


def test_pausing_and_deleting_an_addon(installation: Installation, addon_pk: int) -> None:
    with installation.catalog.write() as session:
        session.get_one(Addon, addon_pk).desired = Desired.PAUSED
    assert facts_of(installation, addon_pk).paused is not None
    with installation.catalog.write() as session:
        session.get_one(Addon, addon_pk).deleted = installation.clock.at
    with installation.catalog.read() as session:
        assert protected_rows.rows_of(session, None) == []


def test_the_check_puts_right_what_a_change_behind_its_back_spoiled(
    installation: Installation, addon_pk: int, caplog: pytest.LogCaptureFixture
) -> None:
    installation.backup(addon_pk)
    with installation.catalog.engine.begin() as connection:
        connection.execute(Copy.__table__.update().values(lost=installation.clock.at))
    with installation.catalog.read() as session:
        assert "places" in protection.differences(session, [addon_pk])[addon_pk]
    ProtectionCheck(installation.toolbox).round()
    assert "protection facts differ" in caplog.text
    assert facts_of(installation, addon_pk).last_good is None


def test_the_narrowest_objective_counts(
    installation: Installation, addon_pk: int, new_addon: Callable[[], int]
) -> None:
    with installation.catalog.write() as session:
        project = session.get_one(Addon, addon_pk).project_pk
        objectives.put(session, (None, None), Objective(places=2, proof_ms=DAY), 1)
        objectives.put(session, (project, None), Objective(max_age_ms=HOUR), 1)
        objectives.put(session, (project, addon_pk), Objective(places=1), 1)
    with installation.catalog.read() as session:
        chosen = objectives.of_all(session)
    effective = objectives.effective(chosen, project, addon_pk)
    assert effective == Objective(max_age_ms=HOUR, proof_ms=DAY, places=1)
    assert objectives.effective(chosen, project + 1, 0) == Objective(places=2, proof_ms=DAY)
    with installation.catalog.write() as session:
        objectives.put(session, (project, addon_pk), Objective(), 2)
    with installation.catalog.read() as session:
        assert (project, addon_pk) not in objectives.of_all(session)


def test_a_missed_day_is_judged_unprotected(installation: Installation, addon_pk: int) -> None:
    scheduled(installation, addon_pk)
    installation.backup(addon_pk)
    now = installation.clock.at + 2 * DAY
    verdict = judge(facts_of(installation, addon_pk), Objective(), now)
    assert verdict.state is State.UNPROTECTED
    assert verdict.reasons[0].sentence == "no good backup for 2 days; objective 24 h"


def test_imports_are_no_recovery_points(installation: Installation, addon_pk: int) -> None:
    backup_pk = installation.backup(addon_pk)
    with installation.catalog.write() as session:
        session.get_one(Backup, backup_pk).source = "fileUpload"
    assert facts_of(installation, addon_pk).last_good is None
