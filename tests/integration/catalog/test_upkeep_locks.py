"""Locks of a worker that died do not outlive its operation, however that one ends."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from fixtures.keeping import Keeper
from fixtures.kept_snapshots import OFFSITE, take
from holdfast.catalog import addons
from holdfast.catalog.schema import Addon, Operation, Repository
from holdfast.contracts.queue import Dispatch
from holdfast.domain.operation import Status
from holdfast.jobs.copies.repair import REPAIR
from holdfast.jobs.copies.replicate import REPLICATE
from holdfast.jobs.core.job import Job
from holdfast.jobs.core.step import Plan
from holdfast.jobs.snapshots.prune import PRUNE
from holdfast.jobs.snapshots.snapshot import SNAPSHOT
from holdfast.kit.processes.guard import Guard
from holdfast.repositories.restic.locks import LockOwner, exclusively

SECOND = Dispatch("op", 2)


@pytest.fixture
def job(keeper: Keeper, kept_addon: int) -> Job:
    """About a snapshot at two places: the attempt after one that died with locks at both."""
    backup = take(keeper, kept_addon, places=(None, keeper.destination(OFFSITE)))
    with keeper.catalog.write() as session:
        addon: Addon = addons.get(session, kept_addon)
        session.add(
            Operation(
                id=SECOND.op, addon_pk=kept_addon, kind="tidy", lane="any", priority=5,
                status=Status.IN_PROGRESS, slot=1, fence=SECOND.fence, attempt=2, arguments={},
                record={}, created=keeper.clock.at,
            )
        )  # fmt: skip
        session.flush()
        session.expunge_all()
    rows = keeper.rows(select(Repository))
    for row in rows:
        leave_lock(keeper, row)
    arguments = {
        "project": rows[0].prefix.split("/")[1],
        "repository": next(row.pk for row in rows if row.destination_pk is None),
        "backup": backup,
        "copy": keeper.copies(backup)[1].pk,
    }
    return Job(keeper.toolbox, SECOND, addon, arguments, Guard(keeper.clock))


def leave_lock(keeper: Keeper, row: Repository) -> None:
    repository = keeper.toolbox.snapshot_repositories.of_row(row)
    with exclusively(repository, keeper.clock.at * 1_000_000, LockOwner(SECOND.op, 1)):
        ((name, _),) = repository.objects.names("locks")
        body = repository.objects.get("locks", name)
    repository.objects.put("locks", body)


def locks(keeper: Keeper) -> list[int]:
    """How many there are at each place, the platform's first."""
    return [sum("/locks/" in key for key in keeper.stored(place)) for place in keeper.stores]


def begun(plan: Plan[Any], job: Job) -> Any:
    """What the steps before the one that takes locks learned."""
    record = plan.record()
    return plan.steps[0].work(job, record) if plan in (REPLICATE, REPAIR) else record


@pytest.mark.parametrize(
    ("plan", "left"),
    [(SNAPSHOT, [0, 1]), (PRUNE, [0, 1]), (REPLICATE, [0, 0]), (REPAIR, [0, 0])],
    ids=["snapshot", "tidy", "copy", "repair"],
)
def test_who_takes_over_and_fails_removes_them(
    plan: Plan[Any], left: list[int], keeper: Keeper, job: Job
) -> None:
    record = begun(plan, job)
    for another in (replace(job, what=Dispatch("op", 1)), replace(job, over=True)):
        plan.clean(another, record)
        assert locks(keeper) == [1, 1], "a living worker's, as far as this one can know"
    plan.clean(job, record)
    assert locks(keeper) == left


def test_who_takes_over_and_leaves_the_work_for_later_removes_them(
    keeper: Keeper, job: Job
) -> None:
    keeper.restore(int(str(job.arguments["backup"])), job.addon.pk)
    assert PRUNE.steps[0].work(job, PRUNE.record()) == PRUNE.record(done=False)
    assert locks(keeper) == [0, 1]


def test_a_lock_of_somebody_else_stays(keeper: Keeper, job: Job, monkeypatch: Any) -> None:
    monkeypatch.setattr("holdfast.repositories.restic.locks.HOST", "another house")
    PRUNE.clean(job, PRUNE.record())
    assert locks(keeper) == [1, 1]
