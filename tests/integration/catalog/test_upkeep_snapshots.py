"""Snapshots in retention and inventories: one object goes, the repository never does."""

import pytest
from sqlalchemy import select, update

from fixtures.keeping import Keeper
from fixtures.kept_snapshots import OFFSITE, audit, lost, packs, take, write
from holdfast.catalog.schema import Copy, Repository
from holdfast.catalog.storage import snapshot_work
from holdfast.daemons.pruner import remove
from holdfast.domain.errors import StoreRefused
from holdfast.domain.operation import Status
from holdfast.domain.snapshot import is_snapshot_key
from holdfast.kit import ids


def test_an_expired_snapshot_loses_its_object_and_nothing_else(
    keeper: Keeper, kept_addon: int
) -> None:
    old, new = take(keeper, kept_addon), take(keeper, kept_addon)
    before, key = keeper.stored(), str(keeper.copies(old)[0].objects)
    keeper.round(days=2)
    keeper.round(days=2)
    assert [key for key in before if key not in keeper.stored()] == [key]
    assert keeper.copies(old)[0].gone is not None
    assert (keeper.copies(new)[0].gone, lost(keeper, new)) == (None, [False])
    (row,) = keeper.rows(select(Repository))
    assert row.tidy_due is not None


def test_deleting_by_hand_takes_every_copy_of_one_snapshot(keeper: Keeper, kept_addon: int) -> None:
    place = keeper.destination(OFFSITE)
    gone = take(keeper, kept_addon, places=(None, place))
    kept = take(keeper, kept_addon, places=(None, place))
    keeper.delete(gone)
    keeper.round()
    for copy in keeper.copies(gone):
        assert copy.gone is not None
        assert copy.objects not in keeper.stored(copy.destination_pk)
    assert all(c.objects in keeper.stored(c.destination_pk) for c in keeper.copies(kept))


def test_a_failed_snapshot_goes_without_touching_the_store(keeper: Keeper, kept_addon: int) -> None:
    failed = take(keeper, kept_addon, Status.FAILED, sealed=False)
    take(keeper, kept_addon)
    before = keeper.stored()
    keeper.delete(failed)
    keeper.round()
    assert keeper.copies(failed)[0].gone is not None
    assert keeper.stored() == before


def test_a_copy_on_its_way_is_removed_when_it_is_over(keeper: Keeper, kept_addon: int) -> None:
    place = keeper.destination(OFFSITE)
    take(keeper, kept_addon, places=(None, place))
    going = take(keeper, kept_addon, places=(None, place))
    more = keeper.copies(going)[1]
    with keeper.catalog.write() as session:
        mine = update(Copy).where(Copy.pk == more.pk)
        session.execute(mine.values(status=Status.IN_PROGRESS, objects=None))
    keeper.delete(going)
    keeper.round()
    assert [copy.gone is None for copy in keeper.copies(going)] == [False, True]
    with keeper.catalog.write() as session:  # it was sealed before the abort was heard
        session.execute(mine.values(status=Status.COMPLETED, objects=more.objects))
    keeper.round(hours=1)
    assert keeper.copies(going)[1].gone is not None
    assert more.objects not in keeper.stored(place)


def test_nothing_else_of_a_repository_is_ever_cleared(keeper: Keeper, kept_addon: int) -> None:
    key = str(keeper.copies(take(keeper, kept_addon))[0].objects)
    for prefix in (key[:-1], key.rpartition("/")[0] + "/", "snapshots/", "snapshots", "s"):
        assert not is_snapshot_key(prefix)
        with pytest.raises(StoreRefused):
            remove(keeper.platform, prefix)
    assert key in keeper.stored()


@pytest.mark.parametrize("what", ["data", "index"])
def test_the_last_good_snapshot_stays_when_the_one_meant_to_replace_it_is_damaged(
    keeper: Keeper, kept_addon: int, what: str
) -> None:
    """The floor looks at packs, not only at the object that names them."""
    old = take(keeper, kept_addon)
    place = keeper.destination(OFFSITE)
    newer = take(keeper, kept_addon, places=(place,))
    (victim, *_) = [key for key in keeper.stored(place) if f"/{what}" in key]
    keeper.stores[place].delete(victim)
    keeper.delete(old)
    keeper.round()
    assert (keeper.row(old).deleted, keeper.copies(old)[0].gone) == (None, None)
    assert lost(keeper, newer) == [True]


def test_an_inventory_leaves_whole_snapshots_alone(keeper: Keeper, kept_addon: int) -> None:
    place = keeper.destination(OFFSITE)
    made = take(keeper, kept_addon, places=(None, place))
    before = keeper.stored(), keeper.stored(place)
    for _ in range(3):
        audit(keeper, days=1)
    assert (lost(keeper, made), keeper.findings()) == ([False, False], [])
    assert (keeper.stored(), keeper.stored(place)) == before


@pytest.mark.parametrize("what", ["snapshots", "data", "index", "keys", "config"])
def test_a_damaged_repository_loses_the_snapshots_that_need_what_is_gone(
    keeper: Keeper, kept_addon: int, what: str
) -> None:
    first = take(keeper, kept_addon)
    there = set(keeper.stored())
    second = take(keeper, kept_addon)
    kept = what in ("keys", "config")  # what they say is known here
    (victim, *_) = [
        key for key in keeper.stored()
        if f"/{what}" in key and (key not in there or kept)
    ]  # fmt: skip
    body = b"".join(keeper.platform.get(victim))
    keeper.platform.delete(victim)
    audit(keeper)
    assert (lost(keeper, first), lost(keeper, second)) == ([False], [not kept])
    keeper.put(None, victim, body)
    audit(keeper, days=1)
    assert (lost(keeper, first), lost(keeper, second)) == ([False], [False])


def test_a_pack_that_was_cut_off_is_found(keeper: Keeper, kept_addon: int) -> None:
    made = take(keeper, kept_addon)
    victim = packs(keeper)[0]
    body = b"".join(keeper.platform.get(victim))
    keeper.put(None, victim, body[:-1])
    audit(keeper)
    assert lost(keeper, made) == [True]
    assert "cut off" in keeper.findings()[0].reason


def test_what_a_late_worker_sealed_is_removed_with_proof(keeper: Keeper, kept_addon: int) -> None:
    take(keeper, kept_addon)
    before = keeper.stored()
    dead = take(keeper, kept_addon, Status.FAILED)
    audit(keeper)
    assert [key for key in keeper.stored() if is_snapshot_key(key)] == [
        key for key in before if is_snapshot_key(key)
    ]
    (finding,) = keeper.findings()
    assert (finding.kind, finding.settled is not None) == ("leftover", True)
    assert str(keeper.row(dead).operation) in finding.reason


def test_an_owners_own_snapshots_and_repositories_are_left_alone(
    keeper: Keeper, kept_addon: int
) -> None:
    made = take(keeper, kept_addon)
    copy, uid = keeper.copies(made)[0], keeper.row(made).uid
    write(keeper, copy, uid, original="a" * 64)  # restic tag
    write(keeper, copy, ids.uid())
    stranger = f"snapshots/p/a/{ids.uid()}/config"
    keeper.put(None, stranger)
    before = keeper.stored()
    audit(keeper, days=1)
    assert keeper.stored() == before
    assert {finding.kind for finding in keeper.findings()} == {"foreign"}
    assert "snapshots/p/a/" in {finding.prefix for finding in keeper.findings()}


def test_a_copy_on_its_way_out_is_not_made_again(keeper: Keeper, kept_addon: int) -> None:
    place = keeper.destination(OFFSITE)
    made = take(keeper, kept_addon, places=(None, place))
    more = keeper.copies(made)[1]
    with keeper.catalog.write() as session:
        failed = update(Copy).where(Copy.pk == more.pk)
        session.execute(failed.values(status=Status.FAILED, next_try=1))
    with keeper.catalog.read() as session:
        assert snapshot_work.is_any_due(session, keeper.clock.at)
    keeper.delete(made, force=True)
    with keeper.catalog.read() as session:
        assert not snapshot_work.is_any_due(session, keeper.clock.at)


def test_uploads_that_a_dead_worker_left_are_removed_after_a_day(
    keeper: Keeper, kept_addon: int
) -> None:
    made = take(keeper, kept_addon, days=60)
    pack = packs(keeper)[0].rpartition("/")[0]
    left = f"{pack}/{'0' * 64}"
    beside, strange = packs(keeper)[0], "snapshots/p/a/other/data/00/x"
    uploads = [keeper.platform.begin(each) for each in (left, beside, strange)]
    before = keeper.stored()

    def unfinished() -> list[str]:
        return [stat.key for stat in keeper.platform.list("snapshots/", unfinished=True)]

    audit(keeper)
    assert left in unfinished()
    audit(keeper, days=2)
    assert left not in unfinished()
    assert unfinished() == sorted((beside, strange))
    assert (keeper.stored(), len(uploads)) == (before, 3)
    assert lost(keeper, made) == [False]
