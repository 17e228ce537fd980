"""Deleting by hand: at once, explained, and never the last good backup without force."""

import pytest
from sqlalchemy import update

from fixtures.keeping import Keeper
from fixtures.timetables import CALLER, DAY
from holdfast.catalog import projects
from holdfast.catalog.schema import Addon
from holdfast.domain.access import Caller
from holdfast.domain.errors import Conflict, NotFound
from holdfast.domain.operation import Status
from holdfast.usecases import backups as verbs
from holdfast.usecases import restores
from holdfast.usecases.context import Context


def test_it_is_hidden_at_once_and_its_objects_go_soon(keeper: Keeper, kept_addon: int) -> None:
    there = keeper.destination("there")
    old = keeper.backup(kept_addon, days=None, places=(None, there))
    keeper.backup(kept_addon)

    keeper.delete(old)

    assert keeper.row(old).deleted == keeper.clock.at
    keeper.round()
    assert [copy.gone for copy in keeper.copies(old)] == [keeper.clock.at] * 2
    assert {d.reason for d in keeper.deletions(old)} == {"deleted by hand by tester"}
    assert (len(keeper.stored()), keeper.stored(there)) == (2, [])


def test_the_last_good_one_needs_force(keeper: Keeper, kept_addon: int) -> None:
    only = keeper.backup(kept_addon)
    failed = keeper.backup(kept_addon, Status.FAILED)

    with pytest.raises(Conflict, match="last good backup") as refused:
        keeper.delete(only)
    assert list(refused.value.details) == ["force"]
    assert keeper.row(only).deleted is None

    keeper.delete(failed)
    keeper.delete(only, force=True)
    keeper.round()
    assert keeper.stored() == []
    assert keeper.deletions(only)[0].reason == "deleted by force by tester"
    assert keeper.present(kept_addon) == []


def test_of_two_only_one_can_be_deleted_without_force(keeper: Keeper, kept_addon: int) -> None:
    one, two = keeper.backup(kept_addon), keeper.backup(kept_addon)
    keeper.delete(one)
    with pytest.raises(Conflict, match="last good"):
        keeper.delete(two)


def test_when_the_other_one_proves_lost_the_deletion_is_called_off_and_it_is_shown_again(
    keeper: Keeper, kept_addon: int
) -> None:
    there = keeper.destination("there")
    one, two = keeper.backup(kept_addon, places=(None, there)), keeper.backup(kept_addon)
    keeper.vanish(two)

    keeper.delete(one)
    keeper.round()

    assert keeper.row(one).deleted is None
    assert len(keeper.stored()) == len(keeper.stored(there)) == 2
    assert all("needs force" in str(d.called_off) for d in keeper.deletions(one))
    assert keeper.copies(two)[0].lost is not None
    keeper.delete(one, force=True)
    keeper.round()
    assert keeper.stored() == []


def test_it_takes_the_place_of_what_retention_wanted(keeper: Keeper, kept_addon: int) -> None:
    old = keeper.backup(kept_addon)
    keeper.backup(kept_addon)
    keeper.round(days=1)

    keeper.delete(old)
    keeper.round()

    first, second = keeper.deletions(old)
    assert first.called_off == "it was deleted by hand"
    assert second.done == keeper.clock.at
    keeper.round(days=2)
    assert len(keeper.stored()) == 2


def test_a_copy_that_is_gone_is_not_deleted_twice(keeper: Keeper, kept_addon: int) -> None:
    there = keeper.destination("there")
    old = keeper.backup(kept_addon, places=(None, there))
    keeper.backup(kept_addon)
    keeper.round(days=1)
    keeper.round(days=1)
    assert [copy.gone is None for copy in keeper.copies(old)] == [False, True]

    keeper.delete(old)
    keeper.round()

    assert [d.destination_pk for d in keeper.deletions(old)] == [None, there]
    assert keeper.stored(there) == []


def test_a_clock_that_differs_does_not_make_it_wait(keeper: Keeper, kept_addon: int) -> None:
    old = keeper.backup(kept_addon)
    keeper.backup(kept_addon)
    keeper.clock.at += 30 * DAY  # of the host that serves the API
    keeper.delete(old)
    keeper.clock.at -= 30 * DAY
    keeper.round()
    assert len(keeper.stored()) == 2


def test_by_uid_when_addon_and_project_are_gone(keeper: Keeper, kept_addon: int) -> None:
    only = keeper.backup(kept_addon)
    uid = keeper.row(only).uid
    with keeper.catalog.write() as session:
        addon = session.get_one(Addon, kept_addon)
        project = projects.get(session, addon.project_pk)
        addon.deleted = project.deleted = keeper.clock.at
        name = project.id

    def delete(caller: Caller, *, force: bool = False) -> None:
        with keeper.catalog.write() as session:
            context = keeper.context(session)
            own = Context(session, caller, context.now, context.house)
            verbs.delete_stored(own, uid, force=force)

    with pytest.raises(NotFound):
        delete(Caller("0" * 24, "other", "owner", frozenset(), frozenset({"elsewhere"})))
    with pytest.raises(Conflict, match="last good"):
        delete(Caller("0" * 24, "mine", "owner", frozenset(), frozenset({name})))
    delete(CALLER, force=True)
    with pytest.raises(NotFound):
        delete(CALLER, force=True)
    keeper.round()
    assert keeper.stored() == []


def test_a_restore_of_what_was_just_deleted_is_refused(keeper: Keeper, kept_addon: int) -> None:
    old = keeper.backup(kept_addon)
    keeper.backup(kept_addon)
    with keeper.catalog.write() as session:
        backup = session.get_one(type(keeper.row(old)), old)
        # Somebody else's transaction, as seen from one that has read the row before.
        session.execute(
            update(type(backup))
            .where(type(backup).pk == old)
            .values(deleted=1)
            .execution_options(synchronize_session=False)
        )
        with pytest.raises(NotFound):
            restores.start(keeper.context(session), session.get_one(Addon, kept_addon), backup)
