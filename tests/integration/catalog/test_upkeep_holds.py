"""Retention that is held: nothing goes because of its age, and no look from before counts."""

import threading

import pytest

from fixtures.in_process_installation import POLICY, InProcessInstallation
from fixtures.timetables import DAY, HOUR
from holdfast.catalog.storage import deletions
from holdfast.usecases.alarms.evaluation import hold_symptoms
from holdfast.usecases.retention import deletion, expiry
from holdfast.usecases.retention.deletion import Step

WHY = "the bucket is being looked into"


def hold(installation: InProcessInstallation) -> None:
    with installation.catalog.write() as session:
        expiry.hold(installation.context(session), WHY)


def release(installation: InProcessInstallation) -> None:
    with installation.catalog.write() as session:
        expiry.release(installation.context(session), POLICY.grace_ms)


@pytest.fixture
def due(installation: InProcessInstallation, addon_pk: int) -> int:
    """A backup whose grace period is over and whose successor was read: the next round takes it."""
    old = installation.backup(addon_pk)
    installation.clock.at += HOUR
    installation.backup(addon_pk)
    installation.round(days=1)
    installation.read_everything()
    installation.clock.at += DAY
    return old


def test_nothing_goes_while_it_is_held(
    installation: InProcessInstallation, addon_pk: int, due: int
) -> None:
    hold(installation)
    installation.round(days=3)
    assert due in installation.present(addon_pk)
    assert installation.deletions(due)[0].begun is None


def test_nothing_more_is_marked_while_it_is_held(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    old = installation.backup(addon_pk)
    installation.clock.at += HOUR
    installation.backup(addon_pk)
    hold(installation)
    installation.round(days=3)
    assert installation.deletions(old) == []


def test_what_is_due_waits_for_the_grace_period_once_more(
    installation: InProcessInstallation, addon_pk: int, due: int
) -> None:
    hold(installation)
    release(installation)
    installation.round(hours=POLICY.grace_ms // HOUR - 1)
    assert due in installation.present(addon_pk)
    installation.round(hours=1)
    assert due not in installation.present(addon_pk)


def test_what_is_deleted_by_hand_goes_all_the_same(
    installation: InProcessInstallation, addon_pk: int, due: int
) -> None:
    hold(installation)
    installation.delete(due)
    installation.round(hours=1)
    assert due not in installation.present(addon_pk)
    assert installation.deletions(due)[0].done is not None


def test_what_had_begun_goes_to_its_end(installation: InProcessInstallation, due: int) -> None:
    installation.fail(None, clear=[KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        installation.pruner.carry_out(installation.deletions(due)[0].pk)
    hold(installation)
    with installation.catalog.read() as session:
        assert deletions.begun_count(session) == 1
    installation.new_pruner().round()
    assert installation.deletions(due)[0].done is not None


def test_a_hold_waits_for_a_decision_that_was_made_before_it(
    installation: InProcessInstallation, addon_pk: int, due: int
) -> None:
    """So it never comes between the look and the beginning of a removal."""
    pk, now = installation.deletions(due)[0].pk, installation.clock.at
    proven = frozenset(
        copy.pk for backup in installation.present(addon_pk) for copy in installation.copies(backup)
    )
    placed = threading.Thread(target=hold, args=(installation,))
    with installation.catalog.write() as session:
        decision = deletion.decide(session, pk, proven, now, POLICY.read_ms)
        assert decision.step is Step.REMOVE
        placed.start()
        placed.join(0.3)
        assert placed.is_alive(), "the hold was placed beside a removal that it should have stopped"
    placed.join()
    assert installation.deletions(due)[0].begun == now


def test_an_alarm_says_so_as_long(installation: InProcessInstallation) -> None:
    def reasons() -> list[str]:
        with installation.catalog.read() as session:
            return [symptom.reason for symptom in hold_symptoms(session)]

    assert reasons() == []
    hold(installation)
    (reason,) = reasons()
    assert WHY in reason
    release(installation)
    assert reasons() == []
