"""Provision, pause, resume, restart, reset and delete a managed addon: lists of steps.

Each step makes something so and is harmless when it is so already; an interrupted one is simply
done again. The addon row says what is wanted (`desired`) before any of this runs.
"""

from collections.abc import Callable

from pydantic import BaseModel

from holdfast.catalog import addons, restores
from holdfast.catalog.database.session import WriteSession
from holdfast.domain.addon import AddonStatus
from holdfast.domain.operation import Kind
from holdfast.jobs.core.job import Job
from holdfast.jobs.core.step import Plan, Step
from holdfast.jobs.snapshots import undo
from holdfast.usecases.hosting import managed_servers


class LifecycleRecord(BaseModel):
    """Nothing is learned on the way; the data directory and the process table are the state."""


Work = Callable[[Job], None]


def _step(name: str, says: str, work: Work) -> Step[LifecycleRecord]:
    def run(job: Job, record: LifecycleRecord) -> LifecycleRecord:
        with job.holding(managed_servers.held(job.tools, job.addon)):
            work(job)
        return record

    return Step(name, says, run)


def _start(job: Job) -> None:
    managed_servers.start(job.tools, job.addon, job.guard.wait)


def _stop(job: Job) -> None:
    managed_servers.stop(job.tools, job.addon)


def _create(job: Job) -> None:
    managed_servers.create(job.tools, job.addon)


def _destroy(job: Job) -> None:
    managed_servers.destroy(job.tools, job.addon)


def _remove(job: Job) -> None:
    if job.addon.managed:
        managed_servers.remove_home(job.tools, job.addon)


def _stop_and_destroy(job: Job) -> None:
    if job.addon.managed:
        managed_servers.destroy(job.tools, job.addon)
    else:
        undo.drop_all(job)


def _becomes(
    status: AddonStatus, *, forgets: bool
) -> Callable[[WriteSession, Job, LifecycleRecord], None]:
    """`forgets`: all data is gone, also what restores had set aside."""

    def publish(session: WriteSession, job: Job, record: LifecycleRecord) -> None:  # noqa: ARG001
        addon = addons.get(session, job.addon.pk)
        addon.status, addon.reason = status, None
        if status == AddonStatus.DELETED:
            managed_servers.vacate(session, addon)
        if forgets:
            restores.forget_old_data(session, job.addon.pk)
        addon.updated = job.tools.clock.now()

    return publish


def _clean(job: Job, record: LifecycleRecord) -> str:  # noqa: ARG001 - the state is on disk
    """What is half done stays: the next step or the supervisor goes on from it."""
    return ""


def _failed(session: WriteSession, job: Job, record: LifecycleRecord) -> None:  # noqa: ARG001
    addon = addons.get(session, job.addon.pk)
    if addon.status not in (AddonStatus.RUNNING, AddonStatus.PAUSED):
        addon.status = AddonStatus.FAILED


def _plan(
    status: AddonStatus, *steps: Step[LifecycleRecord], forgets: bool = False
) -> Plan[LifecycleRecord]:
    published = _becomes(status, forgets=forgets)
    return Plan(LifecycleRecord, steps, published, _clean, failed=_failed)


_START = _step("start", "starting the server", _start)
_STOP = _step("stop", "stopping the server", _stop)
_CREATE = _step("create", "creating the data directory", _create)

LIFECYCLE: dict[Kind, Plan[LifecycleRecord]] = {
    Kind.PROVISION: _plan(AddonStatus.RUNNING, _CREATE, _START),
    Kind.PAUSE: _plan(AddonStatus.PAUSED, _STOP),
    Kind.RESUME: _plan(AddonStatus.RUNNING, _START),
    Kind.RESTART: _plan(AddonStatus.RUNNING, _STOP, _START),
    Kind.RESET: _plan(
        AddonStatus.RUNNING,
        _step("destroy", "removing all data", _destroy),
        _CREATE,
        _START,
        forgets=True,
    ),
    Kind.DELETE: _plan(
        AddonStatus.DELETED,
        _step("destroy", "stopping the server and removing its data", _stop_and_destroy),
        _step("remove", "removing the addon's directory", _remove),
        forgets=True,
    ),
}
