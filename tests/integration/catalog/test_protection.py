"""The row of facts follows every change in the transaction that makes it."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from fixtures.keeping import DAY, HOUR, Keeper
from holdfast.catalog import objectives, protection
from holdfast.catalog.schema import Addon, Backup, Copy, Occurrence, Operation, Restore, Schedule
from holdfast.catalog.storage import copies
from holdfast.catalog.work import operations
from holdfast.contracts.queue import Dispatch
from holdfast.daemons.protection import ProtectionCheck
from holdfast.domain.addon import Desired
from holdfast.domain.operation import Status
from holdfast.domain.protection import Day, Facts, Objective, State, judge
from holdfast.kit import ids


def facts_of(keeper: Keeper, addon_pk: int) -> Facts:
    """Also proves that the row is what is derived from nothing."""
    with keeper.catalog.read() as session:
        assert protection.differences(session, [addon_pk]) == {}
        return protection.row_of(session, addon_pk).facts


def days_of(keeper: Keeper, addon_pk: int) -> list[Day]:
    with keeper.catalog.read() as session:
        return list(protection.row_of(session, addon_pk).days)


def scheduled(keeper: Keeper, addon_pk: int) -> int:
    with keeper.catalog.write() as session:
        row = Schedule(
            id=ids.hex24(), addon_pk=addon_pk, type="dump", compression="gz", additional=[],
            interval="daily", minute=[0], hour=[3], day=[], retention=7,
            next_due=keeper.clock.at + HOUR, created=keeper.clock.at, updated=keeper.clock.at,
        )  # fmt: skip
        session.add(row)
        session.flush()
        return row.pk


def decided(keeper: Keeper, schedule_pk: int, outcome: str, backup_pk: int | None = None) -> None:
    with keeper.catalog.write() as session:
        session.add(
            Occurrence(
                schedule_pk=schedule_pk,
                instant=keeper.clock.at,
                since=keeper.clock.at,
                count=1,
                outcome=outcome,
                reason="",
                backup_pk=backup_pk,
                decided=keeper.clock.at,
            )
        )
        session.get_one(Schedule, schedule_pk).next_due = keeper.clock.at + DAY


def test_an_addon_has_facts_from_its_first_second(keeper: Keeper, kept_addon: int) -> None:
    facts = facts_of(keeper, kept_addon)
    assert (facts.planned, facts.last_good, facts.places) == (None, None, 0)


def test_good_and_failed_backups_show_at_once(keeper: Keeper, kept_addon: int) -> None:
    keeper.backup(kept_addon)
    first = keeper.clock.at
    keeper.clock.at += DAY
    keeper.backup(kept_addon)
    keeper.clock.at += DAY
    keeper.backup(kept_addon, Status.FAILED)
    with keeper.catalog.write() as session:
        session.get_one(Addon, kept_addon).name = "other"  # some change in a later transaction
    facts = facts_of(keeper, kept_addon)
    assert (facts.first_good, facts.last_good) == (first, first + DAY)
    assert facts.failing == keeper.clock.at


def test_a_lost_copy_and_one_that_is_found_again(keeper: Keeper, kept_addon: int) -> None:
    away = keeper.destination("away")
    backup_pk = keeper.backup(kept_addon, places=(None, away))
    assert facts_of(keeper, kept_addon).places == 2
    copy = keeper.copies(backup_pk)[1]
    with keeper.catalog.write() as session:
        copies.lose(session, copy.pk, keeper.clock.at)
    facts = facts_of(keeper, kept_addon)
    assert (facts.places, facts.lost, facts.lost_since) == (1, 1, keeper.clock.at)
    with keeper.catalog.write() as session:
        copies.lose(session, copy.pk, None)
    assert (facts_of(keeper, kept_addon).places, facts_of(keeper, kept_addon).lost) == (2, 0)


def test_a_deleted_backup_is_no_recovery_point_but_its_day_stays_good(
    keeper: Keeper, kept_addon: int
) -> None:
    schedule_pk = scheduled(keeper, kept_addon)
    older = keeper.backup(kept_addon)
    decided(keeper, schedule_pk, "fired", older)
    keeper.clock.at += DAY
    newer = keeper.backup(kept_addon)
    decided(keeper, schedule_pk, "fired", newer)
    keeper.clock.at += DAY
    decided(keeper, schedule_pk, "missed")
    keeper.delete(newer)
    assert facts_of(keeper, kept_addon).last_good == keeper.row(older).created
    counted = [(day.due, day.good, day.missed) for day in days_of(keeper, kept_addon)]
    assert counted == [(1, 1, 0), (1, 1, 0), (1, 0, 1)]


def test_the_last_copy_that_vanishes_takes_the_recovery_point(
    keeper: Keeper, kept_addon: int
) -> None:
    backup_pk = keeper.backup(kept_addon)
    with keeper.catalog.write() as session:
        copies.lose(session, keeper.copies(backup_pk)[0].pk, keeper.clock.at)
    facts = facts_of(keeper, kept_addon)
    assert facts.last_good is None
    assert facts.failure == "its copies are lost or deleted"


def test_a_restore_that_ends_well_is_a_proof(keeper: Keeper, kept_addon: int) -> None:
    backup_pk, started = keeper.backup(kept_addon), keeper.clock.at
    with keeper.catalog.write() as session:
        operation = Operation(
            id=ids.hex24(), addon_pk=kept_addon, kind="restore", lane="any", priority=5,
            status=Status.IN_PROGRESS, slot=1, fence=1, attempt=1, arguments={}, record={},
            created=started, started=started,
        )  # fmt: skip
        session.add(operation)
        session.add(
            Restore(
                id=ids.hex24(),
                backup_pk=backup_pk,
                addon_pk=kept_addon,
                created=started,
                status=Status.IN_PROGRESS,
                operation=operation.id,
            )
        )
        dispatch = Dispatch(operation.id, 1)
    keeper.clock.at += HOUR
    ending = operations.Ending(Status.COMPLETED)
    with keeper.catalog.write() as session:
        operations.finish(session, keeper.toolbox.queue, dispatch, ending, keeper.clock.at)
    facts = facts_of(keeper, kept_addon)
    assert (facts.proven, facts.proof_ms) == (keeper.clock.at, HOUR)
    with keeper.catalog.write() as session:  # its rows age out; the proof is remembered
        for row in session.scalars(select(Restore)):
            session.delete(row)
        session.get_one(Addon, kept_addon).name = "other"
    assert facts_of(keeper, kept_addon).proven == keeper.clock.at


def test_pausing_and_deleting_an_addon(keeper: Keeper, kept_addon: int) -> None:
    with keeper.catalog.write() as session:
        session.get_one(Addon, kept_addon).desired = Desired.PAUSED
    assert facts_of(keeper, kept_addon).paused is not None
    with keeper.catalog.write() as session:
        session.get_one(Addon, kept_addon).deleted = keeper.clock.at
    with keeper.catalog.read() as session:
        assert protection.rows_of(session, None) == []


def test_the_check_puts_right_what_a_change_behind_its_back_spoiled(
    keeper: Keeper, kept_addon: int, caplog: pytest.LogCaptureFixture
) -> None:
    keeper.backup(kept_addon)
    with keeper.catalog.engine.begin() as connection:
        connection.execute(Copy.__table__.update().values(lost=keeper.clock.at))
    with keeper.catalog.read() as session:
        assert "places" in protection.differences(session, [kept_addon])[kept_addon]
    ProtectionCheck(keeper.toolbox).round()
    assert "protection facts differ" in caplog.text
    assert facts_of(keeper, kept_addon).last_good is None


def test_the_narrowest_objective_counts(
    keeper: Keeper, kept_addon: int, new_addon: Callable[[], int]
) -> None:
    with keeper.catalog.write() as session:
        project = session.get_one(Addon, kept_addon).project_pk
        objectives.put(session, (None, None), Objective(places=2, proof_ms=DAY), 1)
        objectives.put(session, (project, None), Objective(max_age_ms=HOUR), 1)
        objectives.put(session, (project, kept_addon), Objective(places=1), 1)
    with keeper.catalog.read() as session:
        chosen = objectives.of_all(session)
    effective = objectives.effective(chosen, project, kept_addon)
    assert effective == Objective(max_age_ms=HOUR, proof_ms=DAY, places=1)
    assert objectives.effective(chosen, project + 1, 0) == Objective(places=2, proof_ms=DAY)
    with keeper.catalog.write() as session:
        objectives.put(session, (project, kept_addon), Objective(), 2)
    with keeper.catalog.read() as session:
        assert (project, kept_addon) not in objectives.of_all(session)


def test_a_missed_day_is_judged_unprotected(keeper: Keeper, kept_addon: int) -> None:
    scheduled(keeper, kept_addon)
    keeper.backup(kept_addon)
    now = keeper.clock.at + 2 * DAY
    verdict = judge(facts_of(keeper, kept_addon), Objective(), now)
    assert verdict.state is State.UNPROTECTED
    assert verdict.reasons[0].sentence == "no good backup for 2 days; objective 24 h"


def test_imports_are_no_recovery_points(keeper: Keeper, kept_addon: int) -> None:
    backup_pk = keeper.backup(kept_addon)
    with keeper.catalog.write() as session:
        session.get_one(Backup, backup_pk).source = "fileUpload"
    assert facts_of(keeper, kept_addon).last_good is None
