"""Provision, pause, resume, restart, reset and delete a managed addon: lists of steps.

Each step establishes a state and does nothing if it is reached already; an interrupted step is
repeated. The addon's row has the desired state (`desired`) before any of this runs.
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
    """Empty: the data directory and the process table are the state."""


Work = Callable[[Job], object]


def _step(name: str, says: str, work: Work) -> Step[LifecycleRecord]:
    def run(job: Job, record: LifecycleRecord) -> LifecycleRecord:
        with job.holding(managed_servers.held(job.tools, job.addon)):
            work(job)
        return record

    return Step(name, says, run)


def _stop_and_destroy(job: Job) -> None:
    if job.addon.managed:
        managed_servers.destroy(job.tools, job.addon)
    else:
        undo.drop_all(job)


def _failed(session: WriteSession, job: Job, record: LifecycleRecord) -> None:  # noqa: ARG001
    addon = addons.get(session, job.addon.pk)
    if addon.status not in (AddonStatus.RUNNING, AddonStatus.PAUSED):
        addon.status = AddonStatus.FAILED


def _plan(
    status: AddonStatus, *steps: Step[LifecycleRecord], forgets: bool = False
) -> Plan[LifecycleRecord]:
    """`forgets`: all data is gone, old data of restores included."""

    def publish(session: WriteSession, job: Job, record: LifecycleRecord) -> None:  # noqa: ARG001
        addon = addons.get(session, job.addon.pk)
        addon.status, addon.reason = status, None
        if status == AddonStatus.DELETED:
            managed_servers.vacate(session, addon)
        if forgets:
            restores.forget_old_data(session, job.addon.pk)
        addon.updated = job.tools.clock.now()

    return Plan(
        LifecycleRecord,
        steps,
        publish,
        # Nothing is removed: the next step or the supervisor goes on from a half-done state.
        clean=lambda job, record: "",  # noqa: ARG005
        failed=_failed,
    )


_START = _step(
    "start",
    "starting the server",
    lambda job: managed_servers.start(job.tools, job.addon, job.guard.wait),
)
_STOP = _step("stop", "stopping the server", lambda job: managed_servers.stop(job.tools, job.addon))
_CREATE = _step(
    "create",
    "creating the data directory",
    lambda job: managed_servers.create(job.tools, job.addon),
)

LIFECYCLE: dict[Kind, Plan[LifecycleRecord]] = {
    Kind.PROVISION: _plan(AddonStatus.RUNNING, _CREATE, _START),
    Kind.PAUSE: _plan(AddonStatus.PAUSED, _STOP),
    Kind.RESUME: _plan(AddonStatus.RUNNING, _START),
    Kind.RESTART: _plan(AddonStatus.RUNNING, _STOP, _START),
    Kind.RESET: _plan(
        AddonStatus.RUNNING,
        _step(
            "destroy",
            "removing all data",
            lambda job: managed_servers.destroy(job.tools, job.addon),
        ),
        _CREATE,
        _START,
        forgets=True,
    ),
    Kind.DELETE: _plan(
        AddonStatus.DELETED,
        _step("destroy", "stopping the server and removing its data", _stop_and_destroy),
        _step(
            "remove",
            "removing the addon's directory",
            lambda job: job.addon.managed and managed_servers.remove_home(job.tools, job.addon),
        ),
        forgets=True,
    ),
}
