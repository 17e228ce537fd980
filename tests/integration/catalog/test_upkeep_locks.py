"""Locks of a worker that died do not outlive its operation, however that one ends."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from fixtures.in_process_installation import InProcessInstallation
from fixtures.in_process_snapshots import OFFSITE, take
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
def job(installation: InProcessInstallation, addon_pk: int) -> Job:
    """About a snapshot at two places: the attempt after one that died with locks at both."""
    backup = take(installation, addon_pk, places=(None, installation.destination(OFFSITE)))
    with installation.catalog.write() as session:
        addon: Addon = addons.get(session, addon_pk)
        session.add(
            Operation(
                id=SECOND.op, addon_pk=addon_pk, kind="tidy", lane="any", priority=5,
                status=Status.IN_PROGRESS, slot=1, fence=SECOND.fence, attempt=2, arguments={},
                record={}, created=installation.clock.at,
            )
        )  # fmt: skip
        session.flush()
        session.expunge_all()
    rows = installation.rows(select(Repository))
    for row in rows:
        leave_lock(installation, row)
    arguments = {
        "project": rows[0].prefix.split("/")[1],
        "repository": next(row.pk for row in rows if row.destination_pk is None),
        "backup": backup,
        "copy": installation.copies(backup)[1].pk,
    }
    return Job(installation.toolbox, SECOND, addon, arguments, Guard(installation.clock))


def leave_lock(installation: InProcessInstallation, row: Repository) -> None:
    repository = installation.toolbox.snapshot_repositories.of_row(row)
    with exclusively(repository, installation.clock.at * 1_000_000, LockOwner(SECOND.op, 1)):
        ((name, _),) = repository.objects.names("locks")
        body = repository.objects.get("locks", name)
    repository.objects.put("locks", body)


def locks(installation: InProcessInstallation) -> list[int]:
    """How many there are at each place, the platform's first."""
    return [
        sum("/locks/" in key for key in installation.stored(place)) for place in installation.stores
    ]


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
    plan: Plan[Any], left: list[int], installation: InProcessInstallation, job: Job
) -> None:
    record = begun(plan, job)
    for another in (replace(job, dispatch=Dispatch("op", 1)), replace(job, over=True)):
        plan.clean(another, record)
        assert locks(installation) == [1, 1], "a living worker's, as far as this one can know"
    plan.clean(job, record)
    assert locks(installation) == left


def test_who_takes_over_and_leaves_the_work_for_later_removes_them(
    installation: InProcessInstallation, job: Job
) -> None:
    installation.restore(int(str(job.arguments["backup"])), job.addon.pk)
    assert PRUNE.steps[0].work(job, PRUNE.record()) == PRUNE.record(done=False)
    assert locks(installation) == [0, 1]


def test_a_lock_of_somebody_else_stays(
    installation: InProcessInstallation, job: Job, monkeypatch: Any
) -> None:
    monkeypatch.setattr("holdfast.repositories.restic.locks.HOST", "another house")
    PRUNE.clean(job, PRUNE.record())
    assert locks(installation) == [1, 1]
