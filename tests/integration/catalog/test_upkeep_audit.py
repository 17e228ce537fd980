"""Inventories: lost and found, leftovers removed with proof, foreign objects untouched."""

import logging
from pathlib import Path

import pytest
from sqlalchemy import select, update

from fixtures.keeping import Keeper
from fixtures.timetables import DAY, HOUR, MINUTE
from holdfast.catalog.schema import Chore, Copy, Operation
from holdfast.catalog.work import chores
from holdfast.daemons.store_checker import StoreChecker
from holdfast.domain.errors import StoreRefused, StoreUnavailable
from holdfast.domain.operation import Status
from holdfast.kit import ids
from holdfast.stores.local.driver import LocalStore
from holdfast.stores.local.options import Options as LocalOptions


def audit(keeper: Keeper, **later: int) -> None:
    keeper.clock.at += sum(n * {"days": DAY, "hours": HOUR}[unit] for unit, n in later.items())
    StoreChecker(keeper.toolbox, DAY).round()


def folder_of(keeper: Keeper, backup_pk: int) -> str:
    prefix = str(keeper.copies(backup_pk)[0].objects)
    return prefix.removesuffix("2/")


def set_status(keeper: Keeper, backup_pk: int, status: Status) -> None:
    with keeper.catalog.write() as session:
        work = keeper.row(backup_pk).operation
        session.execute(update(Operation).where(Operation.id == work).values(status=status))


def test_a_store_as_it_should_be_is_left_alone(keeper: Keeper, kept_addon: int) -> None:
    for _ in range(3):
        keeper.backup(kept_addon)
    keeper.backup(kept_addon, Status.FAILED)
    before = keeper.stored()
    audit(keeper)
    audit(keeper, days=1)
    assert (keeper.stored(), keeper.findings()) == (before, [])


def test_what_vanished_is_lost_alarms_and_may_be_found_again(
    keeper: Keeper, kept_addon: int, caplog: pytest.LogCaptureFixture
) -> None:
    kept, gone = keeper.backup(kept_addon), keeper.backup(kept_addon)
    prefix = str(keeper.copies(gone)[0].objects)
    taken = {stat.key: b"".join(keeper.platform.get(stat.key)) for stat in
             keeper.platform.list(prefix)}  # fmt: skip
    keeper.vanish(gone)

    with caplog.at_level(logging.ERROR):
        audit(keeper)
    assert "a backup is lost" in caplog.text
    assert (keeper.copies(gone)[0].lost, keeper.copies(kept)[0].lost) == (keeper.clock.at, None)
    (finding,) = keeper.findings()
    assert (finding.kind, finding.settled) == ("lost", None)

    audit(keeper, days=1)
    (finding,) = keeper.findings()
    assert (finding.settled, finding.seen) == (None, keeper.clock.at)

    for key, body in taken.items():
        keeper.put(None, key, body)
    audit(keeper, days=1)
    assert keeper.copies(gone)[0].lost is None
    (finding,) = keeper.findings()
    assert finding.outcome == "all its objects are there again"


def test_one_member_cut_short_is_a_loss(keeper: Keeper, kept_addon: int) -> None:
    pk = keeper.backup(kept_addon)
    keeper.put(None, f"{keeper.copies(pk)[0].objects}postgres.dump.gz", b"short")
    audit(keeper)
    assert "holds 5 bytes, 100 were proven" in keeper.findings()[0].reason


def test_leftovers_are_swept_with_the_proof_written_down(keeper: Keeper, kept_addon: int) -> None:
    good, failed = keeper.backup(kept_addon), keeper.backup(kept_addon)
    folder, dead = folder_of(keeper, good), folder_of(keeper, failed)
    set_status(keeper, failed, Status.FAILED)
    with keeper.catalog.write() as session:
        session.execute(
            update(Copy).where(Copy.backup_pk == failed).values(status="failed", objects=None)
        )
    keeper.put(None, f"{folder}1/half")
    unfinished = keeper.platform.begin(f"{folder}1/other")

    audit(keeper)

    assert [key for key in keeper.stored() if not key.startswith(f"{folder}2/")] == []
    assert len(keeper.stored()) == 2
    assert list(keeper.platform.list("", unfinished=True)) == []
    found = {each.prefix: each for each in keeper.findings()}
    assert found.keys() == {f"{folder}1/", f"{dead}2/"}
    assert all(each.kind == "leftover" for each in found.values())
    assert f"published {folder}2/" in found[f"{folder}1/"].reason
    assert "published nothing" in found[f"{dead}2/"].reason
    assert str(found[f"{folder}1/"].outcome).startswith("2 objects and unfinished uploads removed")
    unfinished.abort()


@pytest.mark.parametrize("status", [Status.SCHEDULED, Status.IN_PROGRESS, Status.ABORTING])
def test_what_may_still_be_written_is_left_alone(
    keeper: Keeper, kept_addon: int, status: Status
) -> None:
    pk = keeper.backup(kept_addon)
    set_status(keeper, pk, status)
    keeper.put(None, f"{folder_of(keeper, pk)}1/half")
    upload = keeper.platform.begin(f"{folder_of(keeper, pk)}2/other")
    audit(keeper, days=5)
    assert len(keeper.stored()) == 3
    assert len(list(keeper.platform.list("", unfinished=True))) == 1
    assert keeper.findings() == []
    upload.abort()


def test_what_is_not_ours_is_reported_and_never_touched(keeper: Keeper, kept_addon: int) -> None:
    pk = keeper.backup(kept_addon)
    folder, stranger = folder_of(keeper, pk), ids.uid()
    strange = [
        f"dumps/shop/db/{stranger}/1/manifest.json",
        f"dumps/shop/db/{ids.uid()}/1/a",
        "dumps/notes.txt",
        f"{folder}9/impossible",
        f"{folder}2.bak",
    ]
    for key in strange:
        keeper.put(None, key)
    keeper.put(None, "elsewhere/not-looked-at")
    upload = keeper.platform.begin(f"dumps/shop/db/{stranger}/2/half")

    audit(keeper)
    assert keeper.findings() == [], "they are young: their row may still come"

    audit(keeper, days=1)
    audit(keeper, days=1)
    found = {each.prefix: each for each in keeper.findings()}
    assert {each.kind for each in found.values()} == {"foreign"}
    assert found.keys() == {"dumps/", "dumps/shop/db/", "/".join(folder.split("/")[:3]) + "/"}
    assert found["dumps/shop/db/"].objects == 3
    assert set(strange) <= set(keeper.stored())
    assert len(list(keeper.platform.list("", unfinished=True))) == 1

    upload.abort()
    for key in strange:
        keeper.platform.delete(key)
    audit(keeper, days=1)
    assert {each.outcome for each in keeper.findings()} == {"it is not there any more"}


def test_a_backup_of_another_place_is_foreign_here(keeper: Keeper, kept_addon: int) -> None:
    there = keeper.destination("there")
    pk = keeper.backup(kept_addon, places=(there,))
    key = f"{keeper.copies(pk)[0].objects}manifest.json"
    keeper.put(None, key)
    audit(keeper, days=1)
    assert keeper.stored() == [key]
    assert [each.kind for each in keeper.findings()] == ["foreign"]


def test_two_destinations_in_one_bucket_do_not_sweep_each_other(
    keeper: Keeper, kept_addon: int
) -> None:
    one, two = keeper.destination("one"), keeper.destination("two")
    keeper.stores[two] = keeper.stores[one]
    pk = keeper.backup(kept_addon, places=(one, two))
    with keeper.catalog.write() as session:
        session.execute(
            update(Copy)
            .where(Copy.backup_pk == pk, Copy.destination_pk == one)
            .values(gone=keeper.clock.at)
        )
    audit(keeper, days=1)
    assert len(keeper.stored(two)) == 2


def test_what_a_deletion_is_at_is_left_to_it(keeper: Keeper, kept_addon: int) -> None:
    old = keeper.backup(kept_addon)
    keeper.backup(kept_addon)
    keeper.fail(None, clear=[StoreUnavailable("away")])
    keeper.delete(old, force=True)
    keeper.round()
    keeper.platform.delete(f"{keeper.copies(old)[0].objects}manifest.json")
    audit(keeper)
    assert keeper.findings() == []
    assert keeper.copies(old)[0].lost is None


def test_a_store_that_cannot_be_listed_is_shown_and_tried_again(
    keeper: Keeper, kept_addon: int, caplog: pytest.LogCaptureFixture
) -> None:
    there = keeper.destination("there")
    keeper.backup(kept_addon)
    keeper.fail(there, list=[StoreUnavailable("no answer")])
    with caplog.at_level(logging.ERROR):
        audit(keeper)

    def chore(place: int | None) -> Chore:
        return keeper.rows(select(Chore).where(Chore.name == chores.audit_of(place)))[0]

    assert "a store check failed" in caplog.text
    assert (chore(there).problem, chore(None).problem) == ("no answer", None)
    assert chore(there).due == keeper.clock.at + 10 * MINUTE
    assert chore(None).due == keeper.clock.at + DAY
    audit(keeper, hours=1)
    assert chore(there).problem is None


def test_a_leftover_that_cannot_be_removed_stays_an_open_finding(
    keeper: Keeper, kept_addon: int
) -> None:
    pk = keeper.backup(kept_addon)
    keeper.put(None, f"{folder_of(keeper, pk)}1/half")
    keeper.fail(None, clear=[StoreRefused("object lock")])
    audit(keeper)
    assert [each.settled for each in keeper.findings()] == [None]
    audit(keeper, hours=1)
    assert [each.settled for each in keeper.findings()] == [keeper.clock.at]
    assert len(keeper.stored()) == 2


def test_a_wrong_mount_loses_nothing_that_returns(keeper: Keeper, kept_addon: int) -> None:
    pks = [keeper.backup(kept_addon) for _ in range(5)]
    keeper.clock.at += 10 * DAY
    real = keeper.stores[None]
    keeper.memory(None)
    audit(keeper)
    assert all(keeper.copies(pk)[0].lost for pk in pks)
    for _ in range(10):
        keeper.round(days=10)
    keeper.stores[None] = real
    audit(keeper)
    assert keeper.present(kept_addon) == pks
    assert all(keeper.copies(pk)[0].lost is None for pk in pks)


def test_it_is_done_when_asked_and_by_one_alone(keeper: Keeper, kept_addon: int) -> None:
    keeper.backup(kept_addon)
    counted = keeper.fail(None)
    asked_only = StoreChecker(keeper.toolbox, 0)
    asked_only.round()
    assert counted.calls == []

    with keeper.catalog.write() as session:
        chores.ask(session, chores.audit_of(None), keeper.clock.at)
    for each in (asked_only, StoreChecker(keeper.toolbox, 0), asked_only):
        each.round()
    assert counted.calls.count("list") == 3  # dumps, unfinished ones, repositories: once
    with keeper.catalog.write() as session:
        chores.ask(session, chores.audit_of(None), keeper.clock.at)
    asked_only.round()
    assert counted.calls.count("list") == 6


def test_a_clock_that_was_ahead_does_not_put_it_off(keeper: Keeper, kept_addon: int) -> None:
    audit(keeper, days=500)
    pk = keeper.backup(kept_addon)
    keeper.vanish(pk)
    keeper.clock.at -= 500 * DAY
    audit(keeper)
    assert keeper.copies(pk)[0].lost is not None


def test_a_directory_is_compared_like_any_store(
    keeper: Keeper, kept_addon: int, tmp_path: Path
) -> None:
    keeper.stores[None] = LocalStore(LocalOptions.model_validate({"directory": tmp_path / "s"}))
    pk = keeper.backup(kept_addon)
    folder = folder_of(keeper, pk)
    keeper.stores[None].begin(f"{folder}1/dead").write(b"x")
    keeper.put(None, f"{folder}1/half")
    audit(keeper)
    assert len(keeper.stored()) == 2
    assert list(keeper.stores[None].list("", unfinished=True)) == []
    assert len(keeper.findings()) == 1


def test_many_copies_in_a_few_hundred_steps(keeper: Keeper, kept_addon: int) -> None:
    pks = [keeper.backup(kept_addon) for _ in range(450)]
    for pk in pks[::150]:
        keeper.vanish(pk)
    audit(keeper)
    lost = select(Copy.backup_pk).where(Copy.lost.is_not(None)).order_by(Copy.pk)
    assert keeper.rows(lost) == pks[::150]
