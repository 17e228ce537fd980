"""A backup against a store that fails where it hurts, and against its own successor."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.stores import FaultyStore
from fixtures.attached import Own
from holdfast.bootstrap import PLANS, Parts
from holdfast.catalog import addons, backups
from holdfast.catalog.schema import Addon, Backup, Operation, Project
from holdfast.catalog.storage import copies
from holdfast.catalog.storage.copies import CopyRequest
from holdfast.catalog.work import journal, operations
from holdfast.catalog.work.journal import Window
from holdfast.catalog.work.operations import Order
from holdfast.contracts.queue import Dispatch
from holdfast.domain.addon import AddonStatus, Desired
from holdfast.domain.errors import (
    ChildFailed,
    DestinationFull,
    StoreRefused,
    StoreUnavailable,
    WorkerLost,
)
from holdfast.domain.operation import ANY_LANE, MAX_ATTEMPTS, Kind, Status
from holdfast.jobs.core.job import Job
from holdfast.jobs.core.runner import Drained, Runner
from holdfast.jobs.core.step import Plan, Step
from holdfast.kit import ids
from holdfast.kit.seal import Secret
from holdfast.settings import Settings
from holdfast.stores.memory.driver import open_store
from holdfast.stores.memory.options import Options
from holdfast.usecases.running_jobs import Running
from holdfast.usecases.toolbox import Toolbox


class FaultyStoreInstallation:
    """One addon, one backup at a time, and a runner whose store can be made to fail."""

    def __init__(self, parts: Parts, own: Own) -> None:
        self.parts, self.queue = parts, parts.queue
        self.store = open_store(Options())
        self.addon = self._attach(own)
        self.running = Running()

    def _attach(self, own: Own) -> int:
        uid = ids.uid()
        password = self.parts.sealer.seal(Secret(own.postgres.password), addons.context(uid))
        with self.parts.catalog.write() as session:
            project = Project(id="p", name="p", created=1, updated=1)
            session.add(project)
            session.flush()
            addon = Addon(
                uid=uid, project_pk=project.pk, id="a", name="a", kind="postgresql",
                version="15", managed=False, desired=Desired.RUNNING,
                status=AddonStatus.RUNNING, host="127.0.0.1", port=own.postgres.port,
                user="postgres", database=own.database, options={}, sealed_password=password,
                tags=[], spec={}, created=1, updated=1,
            )  # fmt: skip
            session.add(addon)
            session.flush()
            return addon.pk

    def order(self) -> str:
        with self.parts.catalog.write() as session:
            backup = Backup(
                uid=ids.uid(), addon_pk=self.addon, id=ids.hex24(), name="b", type="dump",
                source="sameAddon", compression="zstd", status="scheduled", size=0, version="",
                retained=False, created=1,
            )  # fmt: skip
            session.add(backup)
            session.flush()
            session.add(copies.row(backup, CopyRequest(None, None)))
            arguments = {"backup": backup.pk, "project": "p"}
            order = Order(self.addon, Kind.BACKUP, ANY_LANE, arguments)
            made = operations.create(session, self.queue, order, 1)
            backup.operation = made.id
            return made.id

    def toolbox(self, store: object) -> Toolbox:
        return dataclasses.replace(self.parts.toolbox, open_store=lambda _: store)

    def run(self, op: str, fence: int = 1, store: object = None, plan: Any = None) -> None:
        plans = {**PLANS, Kind.BACKUP: plan or PLANS[Kind.BACKUP]}
        Runner(self.toolbox(store or self.store), plans, self.running, "w").run(op, fence)

    def take_over(self, op: str, fence: int) -> None:
        with self.parts.catalog.write() as session:
            assert operations.take_over(session, self.queue, Dispatch(op, fence))

    def look(self, op: str) -> Operation:
        with self.parts.catalog.read() as session:
            operation = operations.get(session, op)
            assert operation is not None
            session.expunge(operation)
            return operation

    def backup(self, op: str) -> Backup:
        with self.parts.catalog.read() as session:
            return backups.with_evidence(session, int(self.look(op).arguments["backup"]))

    def prefix(self, op: str) -> str:
        with self.parts.catalog.read() as session:
            return str(copies.first(session, self.backup(op).pk).objects)

    def log(self, op: str) -> list[str]:
        with self.parts.catalog.read() as session:
            return [line.text for line in journal.read(session, op, Window())]

    def stored(self) -> list[str]:
        return [stat.key for stat in self.store.list("")]


@pytest.fixture
def installation(tmp_path: Path, own_postgres: Own) -> Iterator[FaultyStoreInstallation]:
    parts = Parts(Settings(data_dir=tmp_path, queue="table"))
    yield FaultyStoreInstallation(parts, own_postgres)
    parts.catalog.close()


def with_step(name: str, work: Callable[[Step[Any], Job, Any], Any]) -> Plan[Any]:
    """The plan of a backup in which one step does something else."""
    plan = PLANS[Kind.BACKUP]
    steps = [
        dataclasses.replace(s, work=lambda job, record, s=s: work(s, job, record))
        if s.name == name
        else s
        for s in plan.steps
    ]
    return dataclasses.replace(plan, steps=steps)


@pytest.mark.parametrize(
    ("faults", "code"),
    [
        ({"begin": [StoreRefused("no such bucket")]}, "store.refused"),
        ({"begin": [None, StoreUnavailable("gone")]}, "store.unavailable"),
        ({"write": [DestinationFull()]}, "destination.full"),
        ({"write": [None, DestinationFull()]}, "destination.full"),
        ({"commit": [StoreUnavailable("gone")]}, "store.unavailable"),
        ({"commit": [None, StoreRefused("denied")]}, "store.refused"),
        ({"get": [StoreUnavailable("gone")]}, "store.unavailable"),
        ({"get": [None, None, None, None, StoreRefused("denied")]}, "store.refused"),
        ({"begin": [None, None, DestinationFull()]}, "destination.full"),
        ({"commit": [None, None, StoreUnavailable("gone")]}, "store.unavailable"),
        ({"clear": [StoreUnavailable("gone")]}, "store.unavailable"),
    ],
)
def test_a_failing_store_fails_the_backup_and_keeps_nothing(
    installation: FaultyStoreInstallation,
    caplog: pytest.LogCaptureFixture,
    faults: dict[str, Any],
    code: str,
) -> None:
    op = installation.order()
    store = FaultyStore(installation.store, **faults)
    installation.run(op, store=store)
    assert store.unused() == {}
    ended = installation.look(op)
    assert (ended.status, ended.error_code, ended.litter) == (Status.FAILED, code, False)
    assert ended.reason
    (line,) = [record for record in caplog.records if record.message == "operation failed"]
    assert (line.__dict__["op"], line.__dict__["error"]) == (op, ended.reason)
    assert installation.backup(op).status == Status.FAILED
    assert installation.stored() == []


def test_leftovers_a_failing_store_keeps_are_remembered(
    installation: FaultyStoreInstallation,
) -> None:
    op = installation.order()
    faults = {"commit": [None, DestinationFull()], "clear": [None, StoreUnavailable("gone")]}
    installation.run(op, store=FaultyStore(installation.store, **faults))
    ended = installation.look(op)
    assert (ended.status, ended.litter) == (Status.FAILED, True)
    assert "leftovers remain and will be removed" in str(ended.reason)
    assert installation.stored() != []


def test_what_was_stored_and_then_damaged_is_not_completed(
    installation: FaultyStoreInstallation,
) -> None:
    op = installation.order()

    def damage(step: Step[Any], job: Job, record: Any) -> Any:
        learned = step.work(job, record)
        upload = installation.store.begin(f"{learned.prefix}{learned.members[-1].key}")
        upload.write(b"not a dump")
        upload.commit()
        return learned

    installation.run(op, plan=with_step("copy", damage))
    ended = installation.look(op)
    assert (ended.status, installation.stored()) == (Status.FAILED, [])
    assert ended.reason


@pytest.mark.parametrize(("asleep_in", "proven"), [("copy", "2"), ("check", "1")])
def test_a_worker_that_was_replaced_removes_nothing_when_it_fails(
    installation: FaultyStoreInstallation, asleep_in: str, proven: str
) -> None:
    """It wakes up, meets an error before anybody tells it, and its successor is long done.

    A successor copies anew, or goes on with what the first attempt had copied.
    """
    op = installation.order()

    def be_replaced(step: Step[Any], job: Job, record: Any) -> Any:
        step.work(job, record)
        installation.take_over(op, 1)
        installation.run(op, fence=2)
        raise ChildFailed("pg_dump was ended by signal 15")

    installation.run(op, plan=with_step(asleep_in, be_replaced))
    assert installation.look(op).status == Status.COMPLETED
    assert installation.stored()
    assert {key.split("/")[-2] for key in installation.stored()} == {proven}
    log = installation.log(op)
    assert log.count("completed") == 1
    assert not any("signal" in line for line in log)
    assert all(check["passed"] for check in (installation.backup(op).evidence or {})["checks"])


def test_a_worker_that_was_replaced_sweeps_nothing_of_its_successor(
    installation: FaultyStoreInstallation,
) -> None:
    op = installation.order()

    def sleep_first(step: Step[Any], job: Job, record: Any) -> Any:
        installation.take_over(op, 1)
        installation.run(op, fence=2)
        return step.work(job, record)

    installation.run(op, plan=with_step("copy", sleep_first))
    assert installation.look(op).status == Status.COMPLETED
    stored = {key.split("/")[-2] for key in installation.stored()}
    assert "2" in stored
    prefix = installation.prefix(op)
    names = {member["key"] for member in (installation.backup(op).evidence or {})["members"]}
    assert {f"{prefix}{name}" for name in names} <= set(installation.stored())


def test_a_drained_operation_is_dispatched_anew_and_loses_no_attempt(
    installation: FaultyStoreInstallation,
) -> None:
    op = installation.order()

    def drain(step: Step[Any], job: Job, record: Any) -> Any:
        job.guard.stop(Drained("the worker is stopping"))
        job.guard.check()

    for fence in range(1, MAX_ATTEMPTS + 3):
        installation.run(op, fence=fence, plan=with_step("copy", drain))
        assert installation.look(op).fence == fence + 1
    installation.run(op, fence=MAX_ATTEMPTS + 3)
    assert installation.look(op).status == Status.COMPLETED


def test_an_operation_whose_worker_lost_contact_goes_on_as_a_new_attempt(
    installation: FaultyStoreInstallation,
) -> None:
    op = installation.order()

    def lose_contact(step: Step[Any], job: Job, record: Any) -> Any:
        job.guard.stop(WorkerLost("no contact with the catalogue for 20 s"))
        job.guard.check()

    installation.run(op, plan=with_step("copy", lose_contact))
    waiting = installation.look(op)
    assert (waiting.status, waiting.fence) == (Status.IN_PROGRESS, 2)
    assert "no contact with the catalogue for 20 s; it is started again" in installation.log(op)
    installation.run(op, fence=2)
    ended = installation.look(op)
    assert (ended.status, ended.attempt) == (Status.COMPLETED, 2)


def test_an_operation_that_keeps_losing_its_worker_is_given_up(
    installation: FaultyStoreInstallation,
) -> None:
    op = installation.order()

    def die(step: Step[Any], job: Job, record: Any) -> Any:
        raise SystemExit

    for fence in range(1, MAX_ATTEMPTS + 1):
        with pytest.raises(SystemExit):
            installation.run(op, fence=fence, plan=with_step("copy", die))
        installation.take_over(op, fence)
    installation.run(op, fence=MAX_ATTEMPTS + 1)
    ended = installation.look(op)
    assert ended.status == Status.FAILED
    assert f"given up after {MAX_ATTEMPTS} attempts" in str(ended.reason)


def test_an_unknown_error_names_its_kind_and_hides_its_text(
    installation: FaultyStoreInstallation,
) -> None:
    op = installation.order()

    def trip(step: Step[Any], job: Job, record: Any) -> Any:
        raise ZeroDivisionError("password=hunter2")

    installation.run(op, plan=with_step("look", trip))
    ended = installation.look(op)
    assert (ended.status, ended.error_code) == (Status.FAILED, "internal")
    assert ended.reason == "internal error: ZeroDivisionError"
