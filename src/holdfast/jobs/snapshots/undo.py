"""Undoes a restore with the old data that it set aside, and drops that data later.

Old data of a dump's restore is on the server, and its engine puts it back (`Undoable`). Old data of
a snapshot's restore is a data directory beside the live one (`data_directories.py`). The restore's
row says whether there is any: an undo and a drop are operations of the same addon, so they never
run at once.
"""

from pathlib import Path

from pydantic import BaseModel

from holdfast.catalog import restores
from holdfast.catalog.database.session import WriteSession
from holdfast.catalog.schema import Operation, Restore
from holdfast.catalog.work import operations
from holdfast.contracts.engine import Undoable
from holdfast.contracts.job_arguments import OldDataArguments
from holdfast.domain.errors import Failure, NotSupported, RestoreDiffers
from holdfast.domain.operation import IN_PLACE
from holdfast.jobs.core.job import Job
from holdfast.jobs.core.step import Plan, Step
from holdfast.jobs.snapshots import data_directories
from holdfast.jobs.snapshots.restore_in_place import run_as
from holdfast.usecases.hosting.server_control import ServerControl, control_of

_RETRY_MS = 3_600_000
"""Pause before dropping old data is retried."""


class UndoRecord(BaseModel):
    """`version` is that of the old data, `was` the addon's before the undo."""

    version: str = ""
    was: str = ""


def _undone(job: Job) -> tuple[Restore, Operation]:
    """The restore to undo, and its operation."""
    with job.tools.catalog.read() as session:
        restore = restores.get(session, job.parse(OldDataArguments).undone_pk)
    return restore, _operation_of(job, restore)


def _operation_of(job: Job, restore: Restore) -> Operation:
    with job.tools.catalog.read() as session:
        operation = operations.get(session, restore.operation)
    if operation is None:
        raise RestoreDiffers("the operation of this restore is forgotten")
    return operation


def _engine(job: Job) -> Undoable:
    engine = job.engine()
    if not isinstance(engine, Undoable):
        raise NotSupported(f"{engine.title} restores cannot be undone")
    return engine


def look(job: Job, record: UndoRecord) -> UndoRecord:
    restore, operation = _undone(job)
    in_files = operation.kind in IN_PLACE
    job.require_running(enters=not in_files)
    if restore.old_until is None:
        raise RestoreDiffers("the old data of this restore is no longer set aside")
    if not in_files:
        _engine(job)
        return record
    version = data_directories.version_aside(control_of(job.tools, job.addon), operation.id)
    return record.model_copy(update={"version": version, "was": job.addon.version})


def put_back(job: Job, record: UndoRecord) -> UndoRecord:
    _, operation = _undone(job)
    if operation.kind not in IN_PLACE:
        _engine(job).put_back(job.address(), operation.id, job.attempt, job.guard)
        return record
    with job.holding(control_of(job.tools, job.addon).held()):
        job.guard.check()
        job.say("stopping the server; the old data takes its place again")
        if job.addon.managed:
            run_as(job, record.version)
        control = control_of(job.tools, job.addon)
        data_directories.take_back(control, operation.id, _tree(job, control), job.say)
    return record


def _tree(job: Job, control: ServerControl) -> Path:
    """One directory for all attempts: they act under the server's lock only, and each goes on from
    where the last one stopped."""
    return control.beside(job.dispatch.op)


def publish(session: WriteSession, job: Job, record: UndoRecord) -> None:  # noqa: ARG001
    restores.get(session, job.parse(OldDataArguments).undone_pk).old_until = None


def clean(job: Job, record: UndoRecord) -> str:
    restore, operation = _undone(job)
    if operation.kind not in IN_PLACE or restore.old_until is None:
        return ""
    control = control_of(job.tools, job.addon)
    with job.holding(control.held()):
        tree = _tree(job, control)
        if record.was and data_directories.goes_back(control, tree):
            run_as(job, record.was)
            control = control_of(job.tools, job.addon)
        return data_directories.undo(
            control, tree, data_directories.aside_of(control, operation.id)
        )


def drop(job: Job, record: UndoRecord) -> UndoRecord:
    restore, _ = _undone(job)
    if restore.old_until is not None:
        _drop(job, restore)
    return record


def _drop(job: Job, restore: Restore) -> None:
    operation = _operation_of(job, restore)
    if operation.kind in IN_PLACE:
        control = control_of(job.tools, job.addon)
        with job.holding(control.held()):
            data_directories.drop_aside(control, operation.id)
    else:
        _engine(job).drop_aside(job.address(), operation.id, job.attempt, job.guard)


def drop_all(job: Job) -> None:
    """Drops all old data of restores into this addon. Data that cannot be removed is named in the
    log and does not keep the addon from being deleted."""
    with job.tools.catalog.read() as session:
        undoable = restores.keeping_old_data(session, job.addon.pk)
        session.expunge_all()
    for restore in undoable:
        try:
            _drop(job, restore)
        except Failure as error:
            job.say(f"old data of the restore {restore.id} stays on the server: {error.message}")


def _try_later(session: WriteSession, job: Job, record: UndoRecord) -> None:  # noqa: ARG001
    restore = restores.get(session, job.parse(OldDataArguments).undone_pk)
    if restore.old_until is not None:
        restore.old_until = job.tools.clock.now() + _RETRY_MS


UNDO = Plan(
    record=UndoRecord,
    steps=[
        Step("look", "looking for the old data", look),
        Step("put back", "putting the old data back", put_back),
        Step("drop", "removing what is left of it", drop),
    ],
    publish=publish,
    clean=clean,
    writes=True,
)

DROP_OLD = Plan(
    record=UndoRecord,
    steps=[Step("drop", "dropping the old data of a restore", drop)],
    publish=publish,
    clean=lambda job, record: "",  # noqa: ARG005 - a drop leaves nothing behind
    writes=True,
    failed=_try_later,
)
