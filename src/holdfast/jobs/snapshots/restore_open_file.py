"""Restores a snapshot into a database file that stays open: read, preflight, fetch, check, swap.

The engine replaces the whole content in one transaction. Before that nothing of the target is
touched, and a repeated swap finds out by itself whether it was done.
"""

import shutil
from dataclasses import replace

from holdfast.contracts.engine import Attempt
from holdfast.contracts.files import RestorableWhileOpen
from holdfast.domain.errors import NotSupported, PreflightRefused
from holdfast.domain.units import show_bytes
from holdfast.jobs.core.consent import keep_old_hours
from holdfast.jobs.core.job import Job
from holdfast.jobs.core.step import Plan, Step
from holdfast.jobs.snapshots.restore_in_place import (
    InPlaceRecord,
    deviates,
    fetch_files,
    find_snapshot,
    judge,
    publish,
    report_failure,
)

_ROOM = 1.05
_SPARE_BYTES = 64 << 20


def _engine(job: Job) -> RestorableWhileOpen:
    engine = job.engine()
    if not isinstance(engine, RestorableWhileOpen):
        raise NotSupported(f"{engine.title} cannot be restored from snapshots")
    return engine


def read(job: Job, record: InPlaceRecord) -> InPlaceRecord:
    _engine(job)
    return find_snapshot(job, record)


def preflight(job: Job, record: InPlaceRecord) -> InPlaceRecord:
    job.engine().probe(job.address())
    free = shutil.disk_usage(job.tools.data_dir).free
    needed = round(record.size * _ROOM) + _SPARE_BYTES
    if free < needed:
        raise PreflightRefused(f"{show_bytes(needed)} are needed, {show_bytes(free)} are free")
    return record


def fetch(job: Job, record: InPlaceRecord) -> InPlaceRecord:
    room = _engine(job).room(job.attempt)

    def clear() -> None:
        if room.exists():
            shutil.rmtree(room)  # of a dead attempt, or of a copy that broke off
        room.mkdir(mode=0o700, parents=True)

    fetch_files(job, record, room, clear)
    return record.model_copy(update={"staged": job.dispatch.fence})


def _attempt(job: Job, record: InPlaceRecord) -> Attempt:
    """This attempt, with the files that it or an earlier one fetched."""
    return replace(job.attempt, staged=record.staged)


def check(job: Job, record: InPlaceRecord) -> InPlaceRecord:
    facts = record.manifest["facts"]
    proven = _engine(job).accept(job.address(), facts, _attempt(job, record), job.guard)
    return record.model_copy(update={"proven": dict(proven)})


def swap(job: Job, record: InPlaceRecord) -> InPlaceRecord:
    job.guard.check()
    job.say("replacing the content; open sessions see the old or the new")
    keep = keep_old_hours(job, deviates=deviates(record)) > 0
    attempt = replace(_attempt(job, record), keep_old=keep)
    _engine(job).replace_content(job.address(), attempt, job.guard)
    return record


def clean(job: Job, record: InPlaceRecord) -> str:
    return _engine(job).discard(job.address(), _attempt(job, record))


RESTORE_OPEN_FILE = Plan(
    record=InPlaceRecord,
    steps=[
        Step("read", "finding the snapshot", read),
        Step("preflight", "checking the target", preflight),
        Step("fetch", "copying the files beside the present ones", fetch),
        Step("check", "checking what came", check),
        Step("judge", "judging the differences", judge),
        Step("swap", "putting the restored data in place", swap),
    ],
    publish=publish,
    clean=clean,
    writes=True,
    failed=report_failure,
)
