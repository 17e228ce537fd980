"""Single damaged objects of a repository: found by inventories, put right by tidying."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update

from fixtures.in_process_installation import InProcessInstallation
from fixtures.in_process_snapshots import audit, flip, lost, packs, take, write
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
from holdfast.repositories.restic.upkeep.pruning import PruneRules, prune

pytestmark = pytest.mark.sqlite_first

KINDS = ["index", "keys", "snapshots"]


def tidying(installation: InProcessInstallation, addon_pk: int) -> Job:
    """The running operation, as the runner has it."""
    what = Dispatch(ids.hex24(), 1)
    with installation.catalog.write() as session:
        session.execute(update(Operation).values(slot=None))
        addon: Addon = addons.get(session, addon_pk)
        session.add(
            Operation(
                id=what.op, addon_pk=addon_pk, kind="tidy", lane="any", priority=5,
                status=Status.IN_PROGRESS, slot=1, fence=1, attempt=1, arguments={}, record={},
                created=installation.clock.at,
            )
        )  # fmt: skip
        session.flush()
        session.expunge_all()
    row = the_row(installation)
    arguments = {"project": row.prefix.split("/")[1], "repository": row.pk}
    return Job(installation.toolbox, what, addon, arguments, Guard(installation.clock))


def the_row(installation: InProcessInstallation) -> Repository:
    return installation.rows(select(Repository))[0]


def tidy(installation: InProcessInstallation, addon_pk: int) -> bool:
    """Was there nothing left to do?"""
    job: Any = tidying(installation, addon_pk)
    record = PRUNE.steps[0].work(job, PRUNE.record())
    with installation.catalog.write() as session:
        PRUNE.publish(session, job, record)
    return record.done


def keys_of(installation: InProcessInstallation, kind: str) -> list[str]:
    return [key for key in installation.stored() if f"/{kind}/" in key and "/damaged/" not in key]


def empty(installation: InProcessInstallation, key: str) -> None:
    installation.put(None, key, b"")


@pytest.mark.parametrize(
    "harm",
    [pytest.param(flip, id="flipped"), pytest.param(empty, id="empty", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("kind", [*KINDS, "config"])
def test_a_damaged_object_is_reported_and_put_right(
    installation: InProcessInstallation,
    addon_pk: int,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    harm: Callable[[InProcessInstallation, str], object],
) -> None:
    older, newer = (take(installation, addon_pk, days=60) for _ in range(2))
    installation.toolbox.snapshot_repositories.of_row(the_row(installation))
    key = (
        f"{the_row(installation).prefix}config"
        if kind == "config"
        else keys_of(installation, kind)[0]
    )
    harm(installation, key)
    with caplog.at_level(logging.ERROR):
        audit(installation)
    assert "an object of a repository is damaged" in caplog.text
    damaged = [each.prefix for each in installation.findings() if each.kind == "damaged"]
    assert len(damaged) == (2 if kind == "keys" else 1)  # the object, and that none opens it
    assert the_row(installation).tidy_due == installation.clock.at, "it is put right at once"

    assert tidy(installation, addon_pk)
    audit(installation, days=1)
    assert (lost(installation, older), lost(installation, newer)) == ([False], [False])
    assert not [each for each in installation.findings() if each.settled is None]
    repository = installation.toolbox.snapshot_repositories.of_row(the_row(installation))
    assert repository.damaged == {}
    readable, broken = repository.readable_snapshots()
    assert (len(readable), broken) == (2, {})
    for snapshot in readable:
        prove(repository, snapshot.tree)


def test_a_lost_index_is_made_anew_from_the_packs(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    made = take(installation, addon_pk, days=60)
    for key in keys_of(installation, "index"):
        installation.platform.delete(key)
    audit(installation)
    assert lost(installation, made) == [True]
    before = packs(installation)
    assert tidy(installation, addon_pk)
    audit(installation)
    assert (lost(installation, made), packs(installation)) == ([False], before)


def test_what_a_damaged_snapshot_needs_is_never_removed(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    """Its object cannot be read, nor made anew, because a block is missing, too."""
    made = take(installation, addon_pk, days=60)
    flip(installation, keys_of(installation, "snapshots")[0])
    gone = packs(installation)[0]
    body = b"".join(installation.platform.get(gone))
    installation.platform.delete(gone)
    rest = packs(installation)
    assert not tidy(installation, addon_pk)
    assert packs(installation) == rest
    assert the_row(installation).tidy_due == installation.clock.at + DAY

    installation.put(None, gone, body)
    audit(installation)
    assert tidy(installation, addon_pk)
    audit(installation, days=1)
    assert lost(installation, made) == [False]


def test_a_snapshot_of_somebody_else_that_cannot_be_read_holds_removals_up_for_a_while(
    installation: InProcessInstallation, addon_pk: int, caplog: pytest.LogCaptureFixture
) -> None:
    made = take(installation, addon_pk, days=99)
    theirs = write(installation, installation.copies(made)[0], ids.uid())
    flip(installation, theirs)
    before = packs(installation)
    audit(installation)
    assert not tidy(installation, addon_pk)
    assert packs(installation) == before
    audit(installation, days=29)
    assert not tidy(installation, addon_pk)
    audit(installation, days=2)
    with caplog.at_level(logging.ERROR):
        assert tidy(installation, addon_pk)
    assert "was set aside" in caplog.text
    assert set(packs(installation)) < set(before)
    assert theirs not in installation.stored()
    assert lost(installation, made) == [False]


def test_the_master_key_is_kept_for_its_own_place_alone(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    there = installation.destination("there")
    take(installation, addon_pk, places=(None, there))
    rows = installation.rows(select(Repository).order_by(Repository.pk))
    assert all(row.sealed_key for row in rows)
    with installation.catalog.write() as session:
        session.execute(
            update(Repository).where(Repository.pk == rows[1].pk)
            .values(sealed_key=rows[0].sealed_key)
        )  # fmt: skip
    with pytest.raises(SealBroken):
        installation.toolbox.snapshot_repositories.of_row(installation.rows(select(Repository).where(
            Repository.pk == rows[1].pk))[0])  # fmt: skip


def test_a_kept_key_opens_no_repository_that_somebody_put_in_its_place(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    take(installation, addon_pk)
    row = the_row(installation)
    for key in installation.stored():
        installation.platform.delete(key)
    ensure_repository(installation.platform, row.prefix, Secret("another"), 1)
    with pytest.raises(SealBroken, match="opens no key"):
        installation.toolbox.snapshot_repositories.of_row(row)


def test_strays_in_a_repository_are_shown_and_left_alone(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    made = take(installation, addon_pk, days=60)
    stray = f"{the_row(installation).prefix}index/README"
    installation.put(None, stray)
    audit(installation, days=1)
    audit(installation, days=1)
    found = [each for each in installation.findings() if each.kind == "foreign"]
    assert ("no object of a repository" in found[0].reason, lost(installation, made)) == (
        True,
        [False],
    )
    assert tidy(installation, addon_pk)
    assert stray in installation.stored()


def test_the_next_snapshot_mends_the_index_first(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    take(installation, addon_pk, days=60)
    flip(installation, keys_of(installation, "index")[0])
    job = tidying(installation, addon_pk)
    make_sound(job, job.repository(None), None)
    assert installation.toolbox.snapshot_repositories.of_row(the_row(installation)).damaged == {}


def test_what_a_download_reads_is_not_removed(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    """Not while it goes on, and not if it began before the new index was there."""
    made = take(installation, addon_pk, days=60)
    copy = installation.copies(made)[0]
    installation.platform.delete(write(installation, copy, ids.uid()))
    before = packs(installation)
    with installation.catalog.write() as session:
        pks = open_downloads.begin(session, [copy.pk])
    assert not tidy(installation, addon_pk)
    assert packs(installation) == before
    with installation.catalog.write() as session:
        open_downloads.end(session, pks)
    assert tidy(installation, addon_pk)
    assert set(packs(installation)) < set(before)


def test_a_reader_who_came_while_the_index_was_written_finds_its_packs(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    made = take(installation, addon_pk, days=60)
    installation.platform.delete(write(installation, installation.copies(made)[0], ids.uid()))
    before = packs(installation)
    repository = installation.toolbox.snapshot_repositories.of_row(the_row(installation))
    pruned = prune(repository, lambda _: None, PruneRules(may_remove=lambda: False))
    assert (pruned.packs, pruned.left > 0) == (0, True)
    assert set(packs(installation)) >= set(before)
    assert tidy(installation, addon_pk)
    assert set(packs(installation)) < set(before)


def test_a_download_that_died_holds_nothing_up(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    copy = installation.copies(take(installation, addon_pk, days=60))[0]
    with installation.catalog.write() as session:
        session.add_all(
            [Reading(copy_pk=copy.pk, until=1), Reading(copy_pk=copy.pk, until=1 << 60)]
        )
    assert tidy(installation, addon_pk)
