"""Single damaged objects of a repository: found by inventories, put right by tidying."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update

from fixtures.keeping import Keeper
from fixtures.kept_snapshots import audit, flip, lost, packs, take, write
from fixtures.timetables import DAY
from holdfast.catalog import addons
from holdfast.catalog.schema import Addon, Operation, Reading, Repository
from holdfast.catalog.storage import open_downloads
from holdfast.contracts.queue import Dispatch
from holdfast.domain.errors import SealBroken
from holdfast.domain.operation import Status
from holdfast.jobs.core.job import Job
from holdfast.jobs.snapshots.index_repair import make_sound
from holdfast.jobs.snapshots.prune import PRUNE
from holdfast.kit import ids
from holdfast.kit.processes.guard import Guard
from holdfast.kit.seal import Secret
from holdfast.repositories.restic.read.reading import prove
from holdfast.repositories.restic.repository import ensure_repository
from holdfast.repositories.restic.upkeep.pruning import Rules, prune

KINDS = ["index", "keys", "snapshots"]


def tidying(keeper: Keeper, addon_pk: int) -> Job:
    """The running operation, as the runner has it."""
    what = Dispatch(ids.hex24(), 1)
    with keeper.catalog.write() as session:
        session.execute(update(Operation).values(slot=None))
        addon: Addon = addons.get(session, addon_pk)
        session.add(
            Operation(
                id=what.op, addon_pk=addon_pk, kind="tidy", lane="any", priority=5,
                status=Status.IN_PROGRESS, slot=1, fence=1, attempt=1, arguments={}, record={},
                created=keeper.clock.at,
            )
        )  # fmt: skip
        session.flush()
        session.expunge_all()
    row = the_row(keeper)
    arguments = {"project": row.prefix.split("/")[1], "repository": row.pk}
    return Job(keeper.toolbox, what, addon, arguments, Guard(keeper.clock))


def the_row(keeper: Keeper) -> Repository:
    return keeper.rows(select(Repository))[0]


def tidy(keeper: Keeper, addon_pk: int) -> bool:
    """Was there nothing left to do?"""
    job: Any = tidying(keeper, addon_pk)
    record = PRUNE.steps[0].work(job, PRUNE.record())
    with keeper.catalog.write() as session:
        PRUNE.publish(session, job, record)
    return record.done


def keys_of(keeper: Keeper, kind: str) -> list[str]:
    return [key for key in keeper.stored() if f"/{kind}/" in key and "/damaged/" not in key]


def empty(keeper: Keeper, key: str) -> None:
    keeper.put(None, key, b"")


@pytest.mark.parametrize("harm", [flip, empty], ids=["flipped", "empty"])
@pytest.mark.parametrize("kind", [*KINDS, "config"])
def test_a_damaged_object_is_reported_and_put_right(
    keeper: Keeper,
    kept_addon: int,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    harm: Callable[[Keeper, str], object],
) -> None:
    older, newer = (take(keeper, kept_addon, days=60) for _ in range(2))
    keeper.toolbox.snapshot_repositories.of_row(the_row(keeper))
    key = f"{the_row(keeper).prefix}config" if kind == "config" else keys_of(keeper, kind)[0]
    harm(keeper, key)
    with caplog.at_level(logging.ERROR):
        audit(keeper)
    assert "an object of a repository is damaged" in caplog.text
    damaged = [each.prefix for each in keeper.findings() if each.kind == "damaged"]
    assert len(damaged) == (2 if kind == "keys" else 1)  # the object, and that none opens it
    assert the_row(keeper).tidy_due == keeper.clock.at, "it is put right at once"

    assert tidy(keeper, kept_addon)
    audit(keeper, days=1)
    assert (lost(keeper, older), lost(keeper, newer)) == ([False], [False])
    assert not [each for each in keeper.findings() if each.settled is None]
    repository = keeper.toolbox.snapshot_repositories.of_row(the_row(keeper))
    assert repository.damaged == {}
    readable, broken = repository.readable_snapshots()
    assert (len(readable), broken) == (2, {})
    for snapshot in readable:
        prove(repository, snapshot.tree)


def test_a_lost_index_is_made_anew_from_the_packs(keeper: Keeper, kept_addon: int) -> None:
    made = take(keeper, kept_addon, days=60)
    for key in keys_of(keeper, "index"):
        keeper.platform.delete(key)
    audit(keeper)
    assert lost(keeper, made) == [True]
    before = packs(keeper)
    assert tidy(keeper, kept_addon)
    audit(keeper)
    assert (lost(keeper, made), packs(keeper)) == ([False], before)


def test_what_a_damaged_snapshot_needs_is_never_removed(keeper: Keeper, kept_addon: int) -> None:
    """Its object cannot be read, nor made anew, because a block is missing, too."""
    made = take(keeper, kept_addon, days=60)
    flip(keeper, keys_of(keeper, "snapshots")[0])
    gone = packs(keeper)[0]
    body = b"".join(keeper.platform.get(gone))
    keeper.platform.delete(gone)
    rest = packs(keeper)
    assert not tidy(keeper, kept_addon)
    assert packs(keeper) == rest
    assert the_row(keeper).tidy_due == keeper.clock.at + DAY

    keeper.put(None, gone, body)
    audit(keeper)
    assert tidy(keeper, kept_addon)
    audit(keeper, days=1)
    assert lost(keeper, made) == [False]


def test_a_snapshot_of_somebody_else_that_cannot_be_read_holds_removals_up_for_a_while(
    keeper: Keeper, kept_addon: int, caplog: pytest.LogCaptureFixture
) -> None:
    made = take(keeper, kept_addon, days=99)
    theirs = write(keeper, keeper.copies(made)[0], ids.uid())
    flip(keeper, theirs)
    before = packs(keeper)
    audit(keeper)
    assert not tidy(keeper, kept_addon)
    assert packs(keeper) == before
    audit(keeper, days=29)
    assert not tidy(keeper, kept_addon)
    audit(keeper, days=2)
    with caplog.at_level(logging.ERROR):
        assert tidy(keeper, kept_addon)
    assert "was set aside" in caplog.text
    assert set(packs(keeper)) < set(before)
    assert theirs not in keeper.stored()
    assert lost(keeper, made) == [False]


def test_the_master_key_is_kept_for_its_own_place_alone(keeper: Keeper, kept_addon: int) -> None:
    there = keeper.destination("there")
    take(keeper, kept_addon, places=(None, there))
    rows = keeper.rows(select(Repository).order_by(Repository.pk))
    assert all(row.sealed_key for row in rows)
    with keeper.catalog.write() as session:
        session.execute(
            update(Repository).where(Repository.pk == rows[1].pk)
            .values(sealed_key=rows[0].sealed_key)
        )  # fmt: skip
    with pytest.raises(SealBroken):
        keeper.toolbox.snapshot_repositories.of_row(keeper.rows(select(Repository).where(
            Repository.pk == rows[1].pk))[0])  # fmt: skip


def test_a_kept_key_opens_no_repository_that_somebody_put_in_its_place(
    keeper: Keeper, kept_addon: int
) -> None:
    take(keeper, kept_addon)
    row = the_row(keeper)
    for key in keeper.stored():
        keeper.platform.delete(key)
    ensure_repository(keeper.platform, row.prefix, Secret("another"), 1)
    with pytest.raises(SealBroken, match="opens no key"):
        keeper.toolbox.snapshot_repositories.of_row(row)


def test_strays_in_a_repository_are_shown_and_left_alone(keeper: Keeper, kept_addon: int) -> None:
    made = take(keeper, kept_addon, days=60)
    stray = f"{the_row(keeper).prefix}index/README"
    keeper.put(None, stray)
    audit(keeper, days=1)
    audit(keeper, days=1)
    found = [each for each in keeper.findings() if each.kind == "foreign"]
    assert ("no object of a repository" in found[0].reason, lost(keeper, made)) == (True, [False])
    assert tidy(keeper, kept_addon)
    assert stray in keeper.stored()


def test_the_next_snapshot_mends_the_index_first(keeper: Keeper, kept_addon: int) -> None:
    take(keeper, kept_addon, days=60)
    flip(keeper, keys_of(keeper, "index")[0])
    job = tidying(keeper, kept_addon)
    make_sound(job, job.repository(None), None)
    assert keeper.toolbox.snapshot_repositories.of_row(the_row(keeper)).damaged == {}


def test_what_a_download_reads_is_not_removed(keeper: Keeper, kept_addon: int) -> None:
    """Not while it goes on, and not if it began before the new index was there."""
    made = take(keeper, kept_addon, days=60)
    copy = keeper.copies(made)[0]
    keeper.platform.delete(write(keeper, copy, ids.uid()))
    before = packs(keeper)
    with keeper.catalog.write() as session:
        pks = open_downloads.begin(session, [copy.pk])
    assert not tidy(keeper, kept_addon)
    assert packs(keeper) == before
    with keeper.catalog.write() as session:
        open_downloads.end(session, pks)
    assert tidy(keeper, kept_addon)
    assert set(packs(keeper)) < set(before)


def test_a_reader_who_came_while_the_index_was_written_finds_its_packs(
    keeper: Keeper, kept_addon: int
) -> None:
    made = take(keeper, kept_addon, days=60)
    keeper.platform.delete(write(keeper, keeper.copies(made)[0], ids.uid()))
    before = packs(keeper)
    repository = keeper.toolbox.snapshot_repositories.of_row(the_row(keeper))
    pruned = prune(repository, lambda _: None, Rules(may_remove=lambda: False))
    assert (pruned.packs, pruned.left > 0) == (0, True)
    assert set(packs(keeper)) >= set(before)
    assert tidy(keeper, kept_addon)
    assert set(packs(keeper)) < set(before)


def test_a_download_that_died_holds_nothing_up(keeper: Keeper, kept_addon: int) -> None:
    copy = keeper.copies(take(keeper, kept_addon, days=60))[0]
    with keeper.catalog.write() as session:
        session.add_all(
            [Reading(copy_pk=copy.pk, until=1), Reading(copy_pk=copy.pk, until=1 << 60)]
        )
    assert tidy(keeper, kept_addon)
