"""Inventories: lost and found, leftovers removed with proof, foreign objects untouched."""

import logging
from pathlib import Path

import pytest
from sqlalchemy import select, update

from fixtures.in_process_installation import InProcessInstallation
from fixtures.timetables import DAY, HOUR, MINUTE
from holdfast.catalog.schema import Chore, Copy, Operation
from holdfast.catalog.work import chores
from holdfast.daemons.store_checker import StoreChecker
from holdfast.domain.errors import StoreRefused, StoreUnavailable
from holdfast.domain.operation import Status
from holdfast.kit import ids
from holdfast.stores.local.driver import LocalStore
from holdfast.stores.local.options import Options as LocalOptions


def audit(installation: InProcessInstallation, **later: int) -> None:
    installation.clock.at += sum(
        n * {"days": DAY, "hours": HOUR}[unit] for unit, n in later.items()
    )
    StoreChecker(installation.toolbox, DAY).round()


def folder_of(installation: InProcessInstallation, backup_pk: int) -> str:
    prefix = str(installation.copies(backup_pk)[0].objects)
    return prefix.removesuffix("2/")


def set_status(installation: InProcessInstallation, backup_pk: int, status: Status) -> None:
    with installation.catalog.write() as session:
        work = installation.row(backup_pk).operation
        session.execute(update(Operation).where(Operation.id == work).values(status=status))


def test_a_store_as_it_should_be_is_left_alone(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    for _ in range(3):
        installation.backup(addon_pk)
    installation.backup(addon_pk, Status.FAILED)
    before = installation.stored()
    audit(installation)
    audit(installation, days=1)
    assert (installation.stored(), installation.findings()) == (before, [])


def test_what_vanished_is_lost_alarms_and_may_be_found_again(
    installation: InProcessInstallation, addon_pk: int, caplog: pytest.LogCaptureFixture
) -> None:
    kept, gone = installation.backup(addon_pk), installation.backup(addon_pk)
    prefix = str(installation.copies(gone)[0].objects)
    taken = {stat.key: b"".join(installation.platform.get(stat.key)) for stat in
             installation.platform.list(prefix)}  # fmt: skip
    installation.vanish(gone)

    with caplog.at_level(logging.ERROR):
        audit(installation)
    assert "a backup is lost" in caplog.text
    assert (installation.copies(gone)[0].lost, installation.copies(kept)[0].lost) == (
        installation.clock.at,
        None,
    )
    (finding,) = installation.findings()
    assert (finding.kind, finding.settled) == ("lost", None)

    audit(installation, days=1)
    (finding,) = installation.findings()
    assert (finding.settled, finding.seen) == (None, installation.clock.at)

    for key, body in taken.items():
        installation.put(None, key, body)
    audit(installation, days=1)
    assert installation.copies(gone)[0].lost is None
    (finding,) = installation.findings()
    assert finding.outcome == "all its objects are there again"


def test_one_member_cut_short_is_a_loss(installation: InProcessInstallation, addon_pk: int) -> None:
    pk = installation.backup(addon_pk)
    installation.put(None, f"{installation.copies(pk)[0].objects}postgres.dump.gz", b"short")
    audit(installation)
    assert "holds 5 bytes, 100 were proven" in installation.findings()[0].reason


def test_leftovers_are_swept_with_the_proof_written_down(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    good, failed = installation.backup(addon_pk), installation.backup(addon_pk)
    folder, dead = folder_of(installation, good), folder_of(installation, failed)
    set_status(installation, failed, Status.FAILED)
    with installation.catalog.write() as session:
        session.execute(
            update(Copy).where(Copy.backup_pk == failed).values(status="failed", objects=None)
        )
    installation.put(None, f"{folder}1/half")
    unfinished = installation.platform.begin(f"{folder}1/other")

    audit(installation)

    assert [key for key in installation.stored() if not key.startswith(f"{folder}2/")] == []
    assert len(installation.stored()) == 2
    assert list(installation.platform.list("", unfinished=True)) == []
    found = {each.prefix: each for each in installation.findings()}
    assert found.keys() == {f"{folder}1/", f"{dead}2/"}
    assert all(each.kind == "leftover" for each in found.values())
    assert f"published {folder}2/" in found[f"{folder}1/"].reason
    assert "published nothing" in found[f"{dead}2/"].reason
    assert str(found[f"{folder}1/"].outcome).startswith("2 objects and unfinished uploads removed")
    unfinished.abort()


@pytest.mark.parametrize("status", [Status.SCHEDULED, Status.IN_PROGRESS, Status.ABORTING])
def test_what_may_still_be_written_is_left_alone(
    installation: InProcessInstallation, addon_pk: int, status: Status
) -> None:
    pk = installation.backup(addon_pk)
    set_status(installation, pk, status)
    installation.put(None, f"{folder_of(installation, pk)}1/half")
    upload = installation.platform.begin(f"{folder_of(installation, pk)}2/other")
    audit(installation, days=5)
    assert len(installation.stored()) == 3
    assert len(list(installation.platform.list("", unfinished=True))) == 1
    assert installation.findings() == []
    upload.abort()


def test_what_is_not_ours_is_reported_and_never_touched(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    pk = installation.backup(addon_pk)
    folder, stranger = folder_of(installation, pk), ids.uid()
    strange = [
        f"dumps/shop/db/{stranger}/1/manifest.json",
        f"dumps/shop/db/{ids.uid()}/1/a",
        "dumps/notes.txt",
        f"{folder}9/impossible",
        f"{folder}2.bak",
    ]
    for key in strange:
        installation.put(None, key)
    installation.put(None, "elsewhere/not-looked-at")
    upload = installation.platform.begin(f"dumps/shop/db/{stranger}/2/half")

    audit(installation)
    assert installation.findings() == [], "they are young: their row may still come"

    audit(installation, days=1)
    audit(installation, days=1)
    found = {each.prefix: each for each in installation.findings()}
    assert {each.kind for each in found.values()} == {"foreign"}
    assert found.keys() == {"dumps/", "dumps/shop/db/", "/".join(folder.split("/")[:3]) + "/"}
    assert found["dumps/shop/db/"].objects == 3
    assert set(strange) <= set(installation.stored())
    assert len(list(installation.platform.list("", unfinished=True))) == 1

    upload.abort()
    for key in strange:
        installation.platform.delete(key)
    audit(installation, days=1)
    assert {each.outcome for each in installation.findings()} == {"it is not there any more"}


def test_a_backup_of_another_place_is_foreign_here(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    there = installation.destination("there")
    pk = installation.backup(addon_pk, places=(there,))
    key = f"{installation.copies(pk)[0].objects}manifest.json"
    installation.put(None, key)
    audit(installation, days=1)
    assert installation.stored() == [key]
    assert [each.kind for each in installation.findings()] == ["foreign"]


def test_two_destinations_in_one_bucket_do_not_sweep_each_other(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    one, two = installation.destination("one"), installation.destination("two")
    installation.stores[two] = installation.stores[one]
    pk = installation.backup(addon_pk, places=(one, two))
    with installation.catalog.write() as session:
        session.execute(
            update(Copy)
            .where(Copy.backup_pk == pk, Copy.destination_pk == one)
            .values(gone=installation.clock.at)
        )
    audit(installation, days=1)
    assert len(installation.stored(two)) == 2


def test_what_a_deletion_is_at_is_left_to_it(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    old = installation.backup(addon_pk)
    installation.backup(addon_pk)
    installation.fail(None, clear=[StoreUnavailable("away")])
    installation.delete(old, force=True)
    installation.round()
    installation.platform.delete(f"{installation.copies(old)[0].objects}manifest.json")
    audit(installation)
    assert installation.findings() == []
    assert installation.copies(old)[0].lost is None


def test_a_store_that_cannot_be_listed_is_shown_and_tried_again(
    installation: InProcessInstallation, addon_pk: int, caplog: pytest.LogCaptureFixture
) -> None:
    there = installation.destination("there")
    installation.backup(addon_pk)
    installation.fail(there, list=[StoreUnavailable("no answer")])
    with caplog.at_level(logging.ERROR):
        audit(installation)

    def chore(place: int | None) -> Chore:
        return installation.rows(select(Chore).where(Chore.name == chores.audit_of(place)))[0]

    assert "a store check failed" in caplog.text
    assert (chore(there).problem, chore(None).problem) == ("no answer", None)
    assert chore(there).due == installation.clock.at + 10 * MINUTE
    assert chore(None).due == installation.clock.at + DAY
    audit(installation, hours=1)
    assert chore(there).problem is None


def test_a_leftover_that_cannot_be_removed_stays_an_open_finding(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    pk = installation.backup(addon_pk)
    installation.put(None, f"{folder_of(installation, pk)}1/half")
    installation.fail(None, clear=[StoreRefused("object lock")])
    audit(installation)
    assert [each.settled for each in installation.findings()] == [None]
    audit(installation, hours=1)
    assert [each.settled for each in installation.findings()] == [installation.clock.at]
    assert len(installation.stored()) == 2


def test_a_wrong_mount_loses_nothing_that_returns(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    pks = [installation.backup(addon_pk) for _ in range(5)]
    installation.clock.at += 10 * DAY
    real = installation.stores[None]
    installation.memory(None)
    audit(installation)
    assert all(installation.copies(pk)[0].lost for pk in pks)
    for _ in range(10):
        installation.round(days=10)
    installation.stores[None] = real
    audit(installation)
    assert installation.present(addon_pk) == pks
    assert all(installation.copies(pk)[0].lost is None for pk in pks)


def test_it_is_done_when_asked_and_by_one_alone(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    installation.backup(addon_pk)
    counted = installation.fail(None)
    asked_only = StoreChecker(installation.toolbox, 0)
    asked_only.round()
    assert counted.calls == []

    with installation.catalog.write() as session:
        chores.ask(session, chores.audit_of(None), installation.clock.at)
    for each in (asked_only, StoreChecker(installation.toolbox, 0), asked_only):
        each.round()
    assert counted.calls.count("list") == 3  # dumps, unfinished ones, repositories: once
    with installation.catalog.write() as session:
        chores.ask(session, chores.audit_of(None), installation.clock.at)
    asked_only.round()
    assert counted.calls.count("list") == 6


def test_a_clock_that_was_ahead_does_not_put_it_off(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    audit(installation, days=500)
    pk = installation.backup(addon_pk)
    installation.vanish(pk)
    installation.clock.at -= 500 * DAY
    audit(installation)
    assert installation.copies(pk)[0].lost is not None


def test_a_directory_is_compared_like_any_store(
    installation: InProcessInstallation, addon_pk: int, tmp_path: Path
) -> None:
    installation.stores[None] = LocalStore(
        LocalOptions.model_validate({"directory": tmp_path / "s"})
    )
    pk = installation.backup(addon_pk)
    folder = folder_of(installation, pk)
    installation.stores[None].begin(f"{folder}1/dead").write(b"x")
    installation.put(None, f"{folder}1/half")
    audit(installation)
    assert len(installation.stored()) == 2
    assert list(installation.stores[None].list("", unfinished=True)) == []
    assert len(installation.findings()) == 1


@pytest.mark.slow
@pytest.mark.sqlite_first
def test_many_copies_in_a_few_hundred_steps(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    pks = [installation.backup(addon_pk) for _ in range(450)]
    for pk in pks[::150]:
        installation.vanish(pk)
    audit(installation)
    lost = select(Copy.backup_pk).where(Copy.lost.is_not(None)).order_by(Copy.pk)
    assert installation.rows(lost) == pks[::150]
