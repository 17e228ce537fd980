"""Restoring a snapshot into a database that stays open: read, preflight, fetch, check, swap.

The engine replaces the whole content in one transaction of its own. Before that nothing of the
target was touched, and a swap that is repeated finds out by itself whether it was done.
"""

import shutil
from dataclasses import replace
from pathlib import Path

from holdfast.contracts.engine import Attempt
from holdfast.contracts.files import Refillable
from holdfast.domain.errors import NotSupported, PreflightRefused
from holdfast.domain.units import show_bytes
from holdfast.jobs.core.consent import keep_old_hours
from holdfast.jobs.core.job import Job
from holdfast.jobs.core.step import Plan, Step
from holdfast.jobs.snapshots.restore_in_place import (
    RewindRecord,
    bring,
    deviates,
    found,
    judge,
    publish,
    report_failure,
)

_ROOM = 1.05
_SPARE_BYTES = 64 << 20


def _engine(job: Job) -> Refillable:
    engine = job.engine()
    if not isinstance(engine, Refillable):
        raise NotSupported(f"{engine.title} cannot be restored from snapshots")
    return engine


def read(job: Job, record: RewindRecord) -> RewindRecord:
    _engine(job)
    return found(job, record)


def preflight(job: Job, record: RewindRecord) -> RewindRecord:
    job.engine().probe(job.address())
    free = shutil.disk_usage(job.tools.data_dir).free
    needed = round(record.size * _ROOM) + _SPARE_BYTES
    if free < needed:
        raise PreflightRefused(f"{show_bytes(needed)} are needed, {show_bytes(free)} are free")
    return record


def fetch(job: Job, record: RewindRecord) -> RewindRecord:
    room = _engine(job).room(job.attempt)
    bring(job, record, room, lambda: _clear(room))
    return record.model_copy(update={"staged": job.what.fence})


def _attempt(job: Job, record: RewindRecord) -> Attempt:
    """With what was fetched, by this attempt or one before it."""
    return replace(job.attempt, staged=record.staged)


def _clear(room: Path) -> None:
    if room.exists():
        shutil.rmtree(room)  # of an attempt that died, or of a copy that broke off
    room.mkdir(mode=0o700, parents=True)


def check(job: Job, record: RewindRecord) -> RewindRecord:
    facts = record.manifest["facts"]
    proven = _engine(job).accept(job.address(), facts, _attempt(job, record), job.guard)
    return record.model_copy(update={"proven": dict(proven)})


def swap(job: Job, record: RewindRecord) -> RewindRecord:
    job.guard.check()
    job.say("replacing the content; whoever has it open sees the old or the new")
    keep = keep_old_hours(job, deviates=deviates(record)) > 0
    attempt = replace(_attempt(job, record), keep_old=keep)
    _engine(job).restore_in_place(job.address(), attempt, job.guard)
    return record


def clean(job: Job, record: RewindRecord) -> str:
    return _engine(job).discard(job.address(), _attempt(job, record))


REFILL = Plan(
    record=RewindRecord,
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
