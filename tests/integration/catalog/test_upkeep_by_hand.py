"""Deleting by hand: at once, explained, and never the last good backup without force."""

import pytest
from sqlalchemy import update

from fixtures.in_process_installation import InProcessInstallation
from fixtures.timetables import CALLER, DAY
from holdfast.catalog import projects
from holdfast.catalog.schema import Addon
from holdfast.domain.access import Caller
from holdfast.domain.errors import Conflict, NotFound
from holdfast.domain.operation import Status
from holdfast.usecases import backups as verbs
from holdfast.usecases import restores
from holdfast.usecases.context import Context


def test_it_is_hidden_at_once_and_its_objects_go_soon(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    there = installation.destination("there")
    old = installation.backup(addon_pk, days=None, places=(None, there))
    installation.backup(addon_pk)

    installation.delete(old)

    assert installation.row(old).deleted == installation.clock.at
    installation.round()
    assert [copy.gone for copy in installation.copies(old)] == [installation.clock.at] * 2
    assert {d.reason for d in installation.deletions(old)} == {"deleted by hand by tester"}
    assert (len(installation.stored()), installation.stored(there)) == (2, [])


def test_the_last_good_one_needs_force(installation: InProcessInstallation, addon_pk: int) -> None:
    only = installation.backup(addon_pk)
    failed = installation.backup(addon_pk, Status.FAILED)

    with pytest.raises(Conflict, match="last good backup") as refused:
        installation.delete(only)
    assert list(refused.value.details) == ["force"]
    assert installation.row(only).deleted is None

    installation.delete(failed)
    installation.delete(only, force=True)
    installation.round()
    assert installation.stored() == []
    assert installation.deletions(only)[0].reason == "deleted by force by tester"
    assert installation.present(addon_pk) == []


def test_of_two_only_one_can_be_deleted_without_force(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    one, two = installation.backup(addon_pk), installation.backup(addon_pk)
    installation.delete(one)
    with pytest.raises(Conflict, match="last good"):
        installation.delete(two)


def test_when_the_other_one_proves_lost_the_deletion_is_called_off_and_it_is_shown_again(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    there = installation.destination("there")
    one, two = installation.backup(addon_pk, places=(None, there)), installation.backup(addon_pk)
    installation.vanish(two)

    installation.delete(one)
    installation.round()

    assert installation.row(one).deleted is None
    assert len(installation.stored()) == len(installation.stored(there)) == 2
    assert all("needs force" in str(d.called_off) for d in installation.deletions(one))
    assert installation.copies(two)[0].lost is not None
    installation.delete(one, force=True)
    installation.round()
    assert installation.stored() == []


def test_it_takes_the_place_of_what_retention_wanted(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    old = installation.backup(addon_pk)
    installation.backup(addon_pk)
    installation.round(days=1)

    installation.delete(old)
    installation.round()

    first, second = installation.deletions(old)
    assert first.called_off == "it was deleted by hand"
    assert second.done == installation.clock.at
    installation.round(days=2)
    assert len(installation.stored()) == 2


def test_a_copy_that_is_gone_is_not_deleted_twice(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    there = installation.destination("there")
    old = installation.backup(addon_pk, places=(None, there))
    installation.backup(addon_pk)
    installation.round(days=1)
    installation.round(days=1)
    assert [copy.gone is None for copy in installation.copies(old)] == [False, True]

    installation.delete(old)
    installation.round()

    assert [d.destination_pk for d in installation.deletions(old)] == [None, there]
    assert installation.stored(there) == []


def test_a_clock_that_differs_does_not_make_it_wait(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    old = installation.backup(addon_pk)
    installation.backup(addon_pk)
    installation.clock.at += 30 * DAY  # of the host that serves the API
    installation.delete(old)
    installation.clock.at -= 30 * DAY
    installation.round()
    assert len(installation.stored()) == 2


def test_by_uid_when_addon_and_project_are_gone(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    only = installation.backup(addon_pk)
    uid = installation.row(only).uid
    with installation.catalog.write() as session:
        addon = session.get_one(Addon, addon_pk)
        project = projects.get(session, addon.project_pk)
        addon.deleted = project.deleted = installation.clock.at
        name = project.id

    def delete(caller: Caller, *, force: bool = False) -> None:
        with installation.catalog.write() as session:
            context = installation.context(session)
            own = Context(session, caller, context.now, context.services)
            verbs.delete_stored(own, uid, force=force)

    with pytest.raises(NotFound):
        delete(Caller("0" * 24, "other", "owner", frozenset(), frozenset({"elsewhere"})))
    with pytest.raises(Conflict, match="last good"):
        delete(Caller("0" * 24, "mine", "owner", frozenset(), frozenset({name})))
    delete(CALLER, force=True)
    with pytest.raises(NotFound):
        delete(CALLER, force=True)
    installation.round()
    assert installation.stored() == []


def test_a_restore_of_what_was_just_deleted_is_refused(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    old = installation.backup(addon_pk)
    installation.backup(addon_pk)
    with installation.catalog.write() as session:
        backup = session.get_one(type(installation.row(old)), old)
        # Somebody else's transaction, as seen from one that has read the row before.
        session.execute(
            update(type(backup))
            .where(type(backup).pk == old)
            .values(deleted=1)
            .execution_options(synchronize_session=False)
        )
        with pytest.raises(NotFound):
            restores.start(installation.context(session), session.get_one(Addon, addon_pk), backup)
