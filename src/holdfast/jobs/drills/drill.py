"""Drills: restore a backup into a throwaway server, judge it, measure it, and remove it.

Everything happens in one step, because its result is a server of this machine: whoever takes over
begins again. The directory of a dead attempt is swept by any worker of its machine, see
`usecases/hosting/throwaway.py`. A drill ends well when it came to a verdict, whatever that is.
"""

import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager

from pydantic import BaseModel

from holdfast.catalog import backups, drills
from holdfast.catalog.database.session import WriteSession
from holdfast.catalog.schema import Document
from holdfast.contracts.job_arguments import DrillArguments
from holdfast.domain.errors import (
    AddonRefused,
    ChildFailed,
    EvidenceMissing,
    Failure,
    NotSupported,
    ObjectMissing,
    PreflightRefused,
    RestoreDiffers,
    SealBroken,
    Stalled,
    ToolMissing,
)
from holdfast.domain.proof import drill
from holdfast.domain.proof.drill import Finding, Verdict
from holdfast.domain.units import MINUTE_MS, show_duration
from holdfast.jobs.core.job import Job
from holdfast.jobs.core.step import Plan, Step
from holdfast.jobs.drills import judging
from holdfast.jobs.drills.restored import Restored, restored
from holdfast.jobs.drills.trial import Trial
from holdfast.kit.clock import rfc3339
from holdfast.usecases.hosting import throwaway

OF_THE_MACHINE = (PreflightRefused, ToolMissing, NotSupported)
"""What speaks against this machine and not against the backup."""
OF_THE_BACKUP = (
    *(EvidenceMissing, ObjectMissing, SealBroken, RestoreDiffers),
    *(ChildFailed, AddonRefused, Stalled),
)
_LOOK_SECONDS = 2.0


class DrillRecord(BaseModel):
    """What the drill came to. `times` in ms, `size` in bytes of data."""

    verdict: str = ""
    findings: list[Document] = []
    times: dict[str, int] = {}
    version: str = ""
    size: int = 0


def run(job: Job, record: DrillRecord) -> DrillRecord:
    arguments = job.parse(DrillArguments)
    with job.tools.catalog.read() as session:
        backup = backups.with_evidence(session, arguments.backup_pk)
        plan = drills.plan_of(session, job.addon.pk)
        assertions = drills.assertions_of(session, job.addon.pk)
        session.expunge_all()
    what = f"the backup {backup.id}"
    if arguments.instant is not None:
        what = f"{rfc3339(arguments.instant)}, from {what},"
    job.say(f"drilling {what} of {job.addon.id}")
    trial = Trial(job, backup, plan, assertions)
    with _judged(trial), ExitStack() as stack:
        with _limited(job):
            restored_copy = stack.enter_context(restored(trial))
            judging.judge_data(trial, restored_copy)
            judging.ask_assertions(trial, restored_copy)
            with job.tools.catalog.read() as session:
                limit = drills.restore_limit_ms(session, job.addon)
                size_now = drills.newest_size(session, job.addon.pk)
            took = trial.times["restore"]
            finding = drill.within(took, limit)
            if finding is not None:
                trial.add(finding)
            if arguments.instant is None:  # how much log there was says nothing of the next time
                trial.times["predicted"] = drill.predicted_ms(took, trial.backup.size, size_now)
        _keep(trial, restored_copy)
    return record.model_copy(update=_result(trial))


def _result(trial: Trial) -> Document:
    return {
        "verdict": str(drill.verdict(trial.findings)),
        "findings": [finding.document() for finding in trial.findings],
        "times": trial.times,
        "version": trial.version,
        "size": trial.size,
    }


@contextmanager
def _judged(trial: Trial) -> Generator[None]:
    """Makes a finding of a failure that says something about the backup or the machine."""
    try:
        yield
    except OF_THE_MACHINE as error:
        trial.add_inconclusive("the backup restores", error.message)
    except OF_THE_BACKUP as error:
        trial.job.guard.check()  # what was told to stop fails for that
        trial.add(Finding("the backup restores", Verdict.FAILED, error.message))


@contextmanager
def _limited(job: Job) -> Generator[None]:
    """Ends a drill that takes too long; a failure without a verdict, because no person asked for
    the end, and it says nothing of the backup."""
    limit = job.tools.drill_limit_ms
    problem = f"the drill took longer than {show_duration(limit)} (HOLDFAST_DRILL_HOURS)"
    timer = threading.Timer(limit / 1000, lambda: job.guard.stop(Failure(problem)))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _keep(trial: Trial, restored_copy: Restored) -> None:
    """Keeps the restored server for people and scripts to look at, as long as was asked."""
    job = trial.job
    result = _result(trial)
    drill_pk = job.parse(DrillArguments).drill_pk

    with job.tools.catalog.read() as session:
        row = drills.get(session, drill_pk)
        minutes, drill_id = row.keep_minutes, row.id
    if not minutes:
        return
    sealed = job.tools.sealer.seal(restored_copy.login.password, drills.context(drill_id))
    until = job.tools.clock.now() + minutes * MINUTE_MS

    def show(session: WriteSession) -> None:
        row = drills.get(session, drill_pk)
        drills.put_result(row, result)
        row.connection, row.sealed_password = restored_copy.connection(), sealed
        row.kept_until = row.kept_until or until

    job.change(show)
    job.say(f"the restored server is kept for {show_duration(minutes * MINUTE_MS)}")
    while True:
        with job.tools.catalog.read() as session:
            until = drills.get(session, drill_pk).kept_until
        if until is None or job.tools.clock.now() >= until:
            return
        job.guard.wait(_LOOK_SECONDS)


def publish(session: WriteSession, job: Job, record: DrillRecord) -> None:
    row = drills.get(session, job.parse(DrillArguments).drill_pk)
    drills.put_result(row, record.model_dump(mode="json"))
    _forget_server(session, job, record)


def _forget_server(session: WriteSession, job: Job, record: DrillRecord) -> None:  # noqa: ARG001
    """The server is gone, and so is the way to reach it."""
    row = drills.get(session, job.parse(DrillArguments).drill_pk)
    row.connection = row.sealed_password = row.kept_until = None


def clean(job: Job, record: DrillRecord) -> str:  # noqa: ARG001 - it leaves nothing but servers
    throwaway.sweep(job.tools)
    return ""


DRILL = Plan(
    record=DrillRecord,
    steps=[Step("run", "restoring into a throwaway server", run)],
    publish=publish,
    clean=clean,
    failed=_forget_server,
)
