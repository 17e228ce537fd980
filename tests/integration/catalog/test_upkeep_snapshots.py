"""Snapshots in retention and inventories: one object goes, the repository never does."""

import pytest
from sqlalchemy import select, update

from fixtures.in_process_installation import InProcessInstallation
from fixtures.in_process_snapshots import OFFSITE, audit, lost, packs, take, write
from holdfast.catalog.schema import Copy, Repository
from holdfast.catalog.storage import snapshot_work
from holdfast.daemons.pruner import remove
from holdfast.domain.errors import StoreRefused
from holdfast.domain.operation import Status
from holdfast.domain.snapshot import is_snapshot_key
from holdfast.kit import ids

pytestmark = pytest.mark.sqlite_first


def test_an_expired_snapshot_loses_its_object_and_nothing_else(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    old, new = take(installation, addon_pk), take(installation, addon_pk)
    before, key = installation.stored(), str(installation.copies(old)[0].objects)
    installation.round(days=2)
    installation.round(days=2)
    assert [key for key in before if key not in installation.stored()] == [key]
    assert installation.copies(old)[0].gone is not None
    assert (installation.copies(new)[0].gone, lost(installation, new)) == (None, [False])
    (row,) = installation.rows(select(Repository))
    assert row.tidy_due is not None


def test_deleting_by_hand_takes_every_copy_of_one_snapshot(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    place = installation.destination(OFFSITE)
    gone = take(installation, addon_pk, places=(None, place))
    kept = take(installation, addon_pk, places=(None, place))
    installation.delete(gone)
    installation.round()
    for copy in installation.copies(gone):
        assert copy.gone is not None
        assert copy.objects not in installation.stored(copy.destination_pk)
    assert all(
        c.objects in installation.stored(c.destination_pk) for c in installation.copies(kept)
    )


def test_a_failed_snapshot_goes_without_touching_the_store(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    failed = take(installation, addon_pk, Status.FAILED, sealed=False)
    take(installation, addon_pk)
    before = installation.stored()
    installation.delete(failed)
    installation.round()
    assert installation.copies(failed)[0].gone is not None
    assert installation.stored() == before


def test_a_copy_on_its_way_is_removed_when_it_is_over(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    place = installation.destination(OFFSITE)
    take(installation, addon_pk, places=(None, place))
    going = take(installation, addon_pk, places=(None, place))
    more = installation.copies(going)[1]
    with installation.catalog.write() as session:
        mine = update(Copy).where(Copy.pk == more.pk)
        session.execute(mine.values(status=Status.IN_PROGRESS, objects=None))
    installation.delete(going)
    installation.round()
    assert [copy.gone is None for copy in installation.copies(going)] == [False, True]
    with installation.catalog.write() as session:  # it was sealed before the abort was heard
        session.execute(mine.values(status=Status.COMPLETED, objects=more.objects))
    installation.round(hours=1)
    assert installation.copies(going)[1].gone is not None
    assert more.objects not in installation.stored(place)


def test_nothing_else_of_a_repository_is_ever_cleared(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    key = str(installation.copies(take(installation, addon_pk))[0].objects)
    for prefix in (key[:-1], key.rpartition("/")[0] + "/", "snapshots/", "snapshots", "s"):
        assert not is_snapshot_key(prefix)
        with pytest.raises(StoreRefused):
            remove(installation.platform, prefix)
    assert key in installation.stored()


@pytest.mark.parametrize("what", ["data", "index"])
def test_the_last_good_snapshot_stays_when_the_one_meant_to_replace_it_is_damaged(
    installation: InProcessInstallation, addon_pk: int, what: str
) -> None:
    """The floor looks at packs, not only at the object that names them."""
    old = take(installation, addon_pk)
    place = installation.destination(OFFSITE)
    newer = take(installation, addon_pk, places=(place,))
    (victim, *_) = [key for key in installation.stored(place) if f"/{what}" in key]
    installation.stores[place].delete(victim)
    installation.delete(old)
    installation.round()
    assert (installation.row(old).deleted, installation.copies(old)[0].gone) == (None, None)
    assert lost(installation, newer) == [True]


def test_an_inventory_leaves_whole_snapshots_alone(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    place = installation.destination(OFFSITE)
    made = take(installation, addon_pk, places=(None, place))
    before = installation.stored(), installation.stored(place)
    for _ in range(3):
        audit(installation, days=1)
    assert (lost(installation, made), installation.findings()) == ([False, False], [])
    assert (installation.stored(), installation.stored(place)) == before


@pytest.mark.parametrize("what", ["snapshots", "data", "index", "keys", "config"])
def test_a_damaged_repository_loses_the_snapshots_that_need_what_is_gone(
    installation: InProcessInstallation, addon_pk: int, what: str
) -> None:
    first = take(installation, addon_pk)
    there = set(installation.stored())
    second = take(installation, addon_pk)
    kept = what in ("keys", "config")  # what they say is known here
    (victim, *_) = [
        key for key in installation.stored()
        if f"/{what}" in key and (key not in there or kept)
    ]  # fmt: skip
    body = b"".join(installation.platform.get(victim))
    installation.platform.delete(victim)
    audit(installation)
    assert (lost(installation, first), lost(installation, second)) == ([False], [not kept])
    installation.put(None, victim, body)
    audit(installation, days=1)
    assert (lost(installation, first), lost(installation, second)) == ([False], [False])


def test_a_pack_that_was_cut_off_is_found(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    made = take(installation, addon_pk)
    victim = packs(installation)[0]
    body = b"".join(installation.platform.get(victim))
    installation.put(None, victim, body[:-1])
    audit(installation)
    assert lost(installation, made) == [True]
    assert "cut off" in installation.findings()[0].reason


def test_what_a_late_worker_sealed_is_removed_with_proof(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    take(installation, addon_pk)
    before = installation.stored()
    dead = take(installation, addon_pk, Status.FAILED)
    audit(installation)
    assert [key for key in installation.stored() if is_snapshot_key(key)] == [
        key for key in before if is_snapshot_key(key)
    ]
    (finding,) = installation.findings()
    assert (finding.kind, finding.settled is not None) == ("leftover", True)
    assert str(installation.row(dead).operation) in finding.reason


def test_an_owners_own_snapshots_and_repositories_are_left_alone(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    made = take(installation, addon_pk)
    copy, uid = installation.copies(made)[0], installation.row(made).uid
    write(installation, copy, uid, original="a" * 64)  # restic tag
    write(installation, copy, ids.uid())
    stranger = f"snapshots/p/a/{ids.uid()}/config"
    installation.put(None, stranger)
    before = installation.stored()
    audit(installation, days=1)
    assert installation.stored() == before
    assert {finding.kind for finding in installation.findings()} == {"foreign"}
    assert "snapshots/p/a/" in {finding.prefix for finding in installation.findings()}


def test_a_copy_on_its_way_out_is_not_made_again(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    place = installation.destination(OFFSITE)
    made = take(installation, addon_pk, places=(None, place))
    more = installation.copies(made)[1]
    with installation.catalog.write() as session:
        failed = update(Copy).where(Copy.pk == more.pk)
        session.execute(failed.values(status=Status.FAILED, next_try=1))
    with installation.catalog.read() as session:
        assert snapshot_work.is_any_due(session, installation.clock.at)
    installation.delete(made, force=True)
    with installation.catalog.read() as session:
        assert not snapshot_work.is_any_due(session, installation.clock.at)


def test_uploads_that_a_dead_worker_left_are_removed_after_a_day(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    made = take(installation, addon_pk, days=60)
    pack = packs(installation)[0].rpartition("/")[0]
    left = f"{pack}/{'0' * 64}"
    beside, strange = packs(installation)[0], "snapshots/p/a/other/data/00/x"
    uploads = [installation.platform.begin(each) for each in (left, beside, strange)]
    before = installation.stored()

    def unfinished() -> list[str]:
        return [stat.key for stat in installation.platform.list("snapshots/", unfinished=True)]

    audit(installation)
    assert left in unfinished()
    audit(installation, days=2)
    assert left not in unfinished()
    assert unfinished() == sorted((beside, strange))
    assert (installation.stored(), len(uploads)) == (before, 3)
    assert lost(installation, made) == [False]
