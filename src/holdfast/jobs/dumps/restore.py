"""Restoring a dump: read, preflight, stage, compare, judge, swap.

Nothing of the target is touched before everything is loaded beside it and counted; the swap only
renames. So a restore that fails or is aborted before the swap leaves the target as it was, and one
that is taken over starts again with the stage.

Differences between the backup and the loaded data are shown, and the caller decides: with consent
the restore goes on, and the old data stays aside for a while.
"""

from dataclasses import replace

from pydantic import BaseModel

from holdfast.catalog import backups, restores
from holdfast.catalog.database.session import WriteSession
from holdfast.catalog.schema import Backup, Document
from holdfast.catalog.work import operations
from holdfast.contracts.engine import Attempt, Dump, Dumpable
from holdfast.contracts.job_arguments import RestoreArguments
from holdfast.domain.errors import NotSupported
from holdfast.jobs.core.consent import (
    consent_of,
    keep_old_hours,
    note_old_data,
    require_consent,
)
from holdfast.jobs.core.job import Job
from holdfast.jobs.core.origins import is_trusted
from holdfast.jobs.core.step import Plan, Step
from holdfast.jobs.dumps import inventories, stored_dump

JUDGED = "judge"
"""The step after which the swap begins."""


class RestoreRecord(BaseModel):
    """Results of the steps. `manifest` is the stored one, its digest checked; `staged` is the
    number of the attempt that loaded it."""

    manifest: Document = {}
    staged: int = 0
    loaded: Document = {}
    differences: list[str] = []
    skipped: list[str] = []


def _backup(job: Job) -> Backup:
    with job.tools.catalog.read() as session:
        return backups.with_evidence(session, job.parse(RestoreArguments).backup_pk)


def _loader(job: Job) -> Dumpable:
    engine = job.engine()
    if not isinstance(engine, Dumpable):
        raise NotSupported(f"{engine.title} cannot load dumps")
    return engine


def read(job: Job, record: RestoreRecord) -> RestoreRecord:
    job.require_running()
    manifest = stored_dump.read_manifest(job, _backup(job))
    return record.model_copy(update={"manifest": manifest})


def _dump(job: Job, record: RestoreRecord) -> Dump:
    return stored_dump.described(
        record.manifest,
        trusted=is_trusted(job),
        locale=job.parse(RestoreArguments).locale,
        skips_failed=consent_of(job).skips_failed,
    )


def preflight(job: Job, record: RestoreRecord) -> RestoreRecord:
    dump = _dump(job, record)
    if dump.foreign:
        job.say(
            "strangers may have shaped this backup: it is loaded with the least power, without"
            " its roles, owners and privileges"
        )
    _loader(job).preflight(job.address(), dump)
    return record


def stage(job: Job, record: RestoreRecord) -> RestoreRecord:
    backup = _backup(job)
    source = stored_dump.source_of(job, backup)
    dump = replace(_dump(job, record), near=source[0].near)
    job.guard.bytes_expected = dump.size
    fetch = stored_dump.fetcher(job, source, record.manifest)
    loaded = _loader(job).stage(job.address(), dump, fetch, job.attempt, job.guard)
    update = {"loaded": inventories.document(loaded), "staged": job.dispatch.fence}
    return record.model_copy(update=update)


def compare(job: Job, record: RestoreRecord) -> RestoreRecord:
    """Records the differences before they are judged, so that a failed restore shows them all."""
    expected = inventories.parse(record.manifest["inventory"])
    loaded = inventories.parse(record.loaded)
    imported = "imported" in record.manifest["facts"]
    tell = inventories.shortfalls if imported else inventories.differences
    differences = tell(expected, loaded)
    skipped = [inventories.sentence(item) for item in loaded.skipped]
    rows = sum(table.rows for table in loaded.tables)
    verdict = f"{len(differences)} differences" if differences else "as in the backup"
    job.say(f"{len(loaded.tables)} tables with {rows} rows were loaded: {verdict}")
    return record.model_copy(update={"differences": differences, "skipped": skipped})


def judge(job: Job, record: RestoreRecord) -> RestoreRecord:
    require_consent(job, record.differences, record.skipped)
    return record


def swap(job: Job, record: RestoreRecord) -> RestoreRecord:
    _loader(job).swap(job.address(), _dump(job, record), _attempt(job, record), job.guard)
    return record


def _attempt(job: Job, record: RestoreRecord) -> Attempt:
    """The attempt for the swap, which may use the staging of an earlier one."""
    hours = keep_old_hours(job, deviates=_deviates(record))
    return replace(job.attempt, staged=record.staged, keep_old=hours > 0)


def _deviates(record: RestoreRecord) -> bool:
    return bool(record.differences or record.skipped)


def publish(session: WriteSession, job: Job, record: RestoreRecord) -> None:
    restore = restores.get(session, job.parse(RestoreArguments).restore_pk)
    tables = record.loaded["tables"]
    restore.report = {
        "tables": len(tables),
        "rows": sum(table["rows"] for table in tables),
        "objects": record.loaded["objects"],
        **_deviations(record),
    }
    note_old_data(restore, job, deviates=_deviates(record))


def report_failure(session: WriteSession, job: Job, record: RestoreRecord) -> None:
    """Reports the differences, so that the caller can read and accept them. Once the swap has begun
    old data may be set aside."""
    restore = restores.get(session, job.parse(RestoreArguments).restore_pk)
    if _deviates(record):
        restore.report = _deviations(record)
    operation = operations.get(session, job.dispatch.op)
    if operation is not None and operation.step == JUDGED:
        note_old_data(restore, job, deviates=_deviates(record))


def _deviations(record: RestoreRecord) -> Document:
    return {"differences": record.differences, "skipped": record.skipped}


def clean(job: Job, record: RestoreRecord) -> str:
    return _loader(job).discard(job.address(), _attempt(job, record))


RESTORE = Plan(
    record=RestoreRecord,
    steps=[
        Step("read", "reading the manifest", read),
        Step("preflight", "checking the target", preflight),
        Step("stage", "loading beside the present data", stage),
        Step("compare", "comparing with the backup", compare),
        Step(JUDGED, "judging the differences", judge),
        Step("swap", "putting the restored data in place", swap),
    ],
    publish=publish,
    clean=clean,
    writes=True,
    failed=report_failure,
)
