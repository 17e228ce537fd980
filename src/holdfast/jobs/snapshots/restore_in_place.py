"""Restores a snapshot in place: read, preflight, fetch, rehearse, swap.

The snapshot becomes a data directory beside the live one and is started privately and checked while
the old server still serves. Only then the server is stopped, the directories are exchanged, and it
starts again, or the rehearsed server goes on (`Succeeding`). The old directory stays until the
restored server has answered, and is put back if it does not. Before the swap a failure or an abort
leaves the addon as it was; a takeover continues from where the directories are. An attached addon
is restored the same way if the operator configured how its server is stopped and started.
"""

import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel

from holdfast.catalog import addons, restores
from holdfast.catalog.archiving import archives
from holdfast.catalog.database.session import WriteSession
from holdfast.catalog.schema import Document
from holdfast.contracts.archive import SLOT
from holdfast.contracts.job_arguments import RestoreArguments
from holdfast.contracts.local_servers import (
    DIFFERENCES,
    Remembered,
    RestorableInPlace,
    is_foreign,
)
from holdfast.domain.addon import AddonStatus
from holdfast.domain.errors import (
    NotSupported,
    PreflightRefused,
    RestoreDiffers,
)
from holdfast.domain.units import show_bytes
from holdfast.jobs.core.consent import keep_old_hours, note_old_data, require_consent
from holdfast.jobs.core.job import Job
from holdfast.jobs.core.origins import is_trusted
from holdfast.jobs.core.step import Plan, Step
from holdfast.jobs.snapshots import data_directories, stored_snapshot
from holdfast.jobs.snapshots.stored_snapshot import StoredSnapshot
from holdfast.kit.locks import try_exclusive
from holdfast.usecases.hosting.server_control import ServerControl, control_of

RESTORED = "the server was restored to another state"
_ROOM = 1.05
_SPARE_BYTES = 64 << 20
_BLOCK = 512  # bytes that st_blocks counts in


class InPlaceRecord(BaseModel):
    """Results of the steps. Sizes in bytes; `was` is the addon's version before; `staged` is the
    number of the attempt that fetched the files; `former` are the `Remembered` facts of the
    replaced server. `base_pk` is a nearer snapshot than the one that was ordered."""

    was: str = ""
    base_pk: int | None = None
    staged: int = 0
    tree: str = ""
    files: int = 0
    size: int = 0
    gives_up: bool = False
    manifest: Document = {}
    former: Document = {}
    proven: Document = {}


def _engine(job: Job) -> RestorableInPlace:
    engine = job.engine()
    if not isinstance(engine, RestorableInPlace):
        raise NotSupported(f"{engine.title} cannot be restored from snapshots")
    return engine


def _control(job: Job) -> ServerControl:
    return control_of(job.tools, job.addon)


def read(job: Job, record: InPlaceRecord) -> InPlaceRecord:
    _engine(job)
    _control(job)
    job.require_running(enters=False)
    return find_snapshot(job, record)


def find_snapshot(job: Job, record: InPlaceRecord) -> InPlaceRecord:
    """Reads the manifest from the first readable copy: the platform's own, else another."""
    backup_pk = record.base_pk or job.parse(RestoreArguments).backup_pk
    found = stored_snapshot.find(job, backup_pk, trusted=is_trusted(job))
    update = {
        "was": job.addon.version,
        "tree": found.tree,
        "files": found.files,
        "size": found.size,
        "manifest": found.manifest,
    }
    return record.model_copy(update=update)


def preflight(job: Job, record: InPlaceRecord) -> InPlaceRecord:
    """Checks everything that can be known before anything is written."""
    control = _control(job)
    problems = [
        *_untrusted(job, record),
        *control.obstacles(),
        *_engine(job).obstacles(control.server, record.manifest),
    ]
    if problems:
        raise PreflightRefused("; ".join(problems))
    engine = job.engine()
    former: Document = {}
    if isinstance(engine, Remembered):
        former = dict(engine.remember(control.server))
    with job.tools.catalog.read() as session:
        archive = archives.of_addon(session, job.addon.pk)
        if archive is not None and archive.wanted:
            # The restored server keeps its log from its first second on.
            former[SLOT] = archive.slot
    gives_up = _gives_up(job, control, record)
    return record.model_copy(update={"gives_up": gives_up, "former": former})


def _untrusted(job: Job, record: InPlaceRecord) -> list[str]:
    """Obstacles of a foreign snapshot: it runs only as a managed server, isolated from others."""
    if not is_foreign(record.manifest["facts"]):
        return []
    if job.addon.managed:
        job.say(
            "strangers may have shaped this snapshot: its accounts stay, but may neither log in"
            " nor act on the server"
        )
        return []
    return [
        "strangers may have shaped this snapshot, and the server of an attached addon would run"
        " it with the rights that it has on its machine; fork it into a managed addon, and restore"
        " a dump of that one"
    ]


def _gives_up(job: Job, control: ServerControl, record: InPlaceRecord) -> bool:
    """Whether the present data must be removed first to make room. PreflightRefused unless that was
    allowed, and helps."""
    free = shutil.disk_usage(control.home if control.home.exists() else control.home.parent).free
    needed = round(record.size * _ROOM) + _SPARE_BYTES
    if free >= needed:
        return False
    lack = (
        f"there is no room for a second copy: {show_bytes(needed)} are needed,"
        f" {show_bytes(free)} are free"
    )
    if not job.parse(RestoreArguments).may_replace:
        raise PreflightRefused(f"{lack}; `replace` would give up the present data first")
    # Bytes that removing it would free.
    paths = control.server.directory.rglob("*")
    files = [path for path in paths if path.is_file() and not path.is_symlink()]
    occupied = sum(path.stat().st_blocks * _BLOCK for path in files)
    if free + occupied < needed:
        raise PreflightRefused(
            f"{lack}, and the present data takes no more than {show_bytes(occupied)}"
        )
    return True


def fetch(job: Job, record: InPlaceRecord) -> InPlaceRecord:
    control = _control(job)
    tree = control.beside(job.dispatch.op, job.dispatch.fence)
    fetch_files(job, record, tree, lambda: clear_room(job, control, gives_up=record.gives_up))
    _engine(job).arrange(tree, data_directories.model(control))
    return record.model_copy(update={"staged": job.dispatch.fence})


def fetch_files(job: Job, record: InPlaceRecord, tree: Path, clear: Callable[[], None]) -> None:
    """Writes all files of the snapshot, from the first copy whose bytes are as they were written.

    `clear` makes `tree` an empty directory, whatever an earlier attempt left in it.
    """
    found = StoredSnapshot(record.tree, record.files, record.size, record.manifest)
    backup_pk = record.base_pk or job.parse(RestoreArguments).backup_pk
    stored_snapshot.write_files(job, backup_pk, found, tree, clear, reads_first=record.gives_up)


def clear_room(job: Job, control: ServerControl, *, gives_up: bool) -> None:
    """Makes room: removes leftovers of earlier attempts, and the live data if it must go."""
    op, attempt = job.dispatch.op, job.dispatch.fence
    tree = control.beside(op, attempt)
    with job.holding(control.held()):
        job.guard.check()
        for leftover in control.all_beside(op, attempt):
            data_directories.remove(control, leftover)
        tree.mkdir(mode=0o711)
        if gives_up:
            job.say(
                "giving up the present data, as was allowed: there is no room for it and the"
                " copy; if this restore fails from here on, the addon has no data"
            )
            data_directories.give_up(control, tree)


def rehearse(job: Job, record: InPlaceRecord) -> InPlaceRecord:
    """Starts and checks the restored server. Under a lock of its own, because the live server goes
    on: of two attempts one would kill the server of the other in the same directory."""
    return rehearse_with(job, record, {})


def rehearse_with(job: Job, record: InPlaceRecord, more: Document) -> InPlaceRecord:
    """`more`: facts for the rehearsal beside those of the snapshot and of the replaced server."""
    control, facts = _control(job), {**record.manifest["facts"], **record.former, **more}
    tree, server = tree_of(job, record), data_directories.model(control)
    with job.holding(_locked(job, tree)):
        proven = _engine(job).rehearse(tree, server, facts, job.guard)
    job.say("the restored server starts and is sound")
    return record.model_copy(update={"proven": dict(proven)})


def judge(job: Job, record: InPlaceRecord) -> InPlaceRecord:
    """Judges the differences, in a step of its own so that a failed restore shows them all."""
    require_consent(job, record.proven.get(DIFFERENCES, []))
    return record


def report_failure(session: WriteSession, job: Job, record: InPlaceRecord) -> None:
    """Reports the differences, so that the caller can read and accept them."""
    if deviates(record):
        restore = restores.get(session, job.parse(RestoreArguments).restore_pk)
        restore.report = {DIFFERENCES: record.proven[DIFFERENCES]}


def swap(job: Job, record: InPlaceRecord) -> InPlaceRecord:
    """Exchanges the data directories; a failure puts the old one back."""
    with job.holding(_control(job).held()):
        job.guard.check()
        job.say("stopping the server; the restored data takes its place")
        if job.addon.managed:
            # The addon returns to the snapshot's version, as nearly as this machine can.
            version = str(record.manifest["version"])
            run_as(job, _engine(job).runs_as(_control(job).server, version))
            if job.addon.version != version:
                job.say(f"a snapshot of {version} now runs as {job.addon.version}")
        control = _control(job)
        now = job.tools.clock.now()
        job.change(lambda session: archives.end_files(session, job.addon.pk, RESTORED, now))
        keep = None
        if keep_old_hours(job, deviates=deviates(record), directories=True) and not record.gives_up:
            keep = data_directories.aside_of(control, job.dispatch.op, record.was)
        data_directories.exchange(control, tree_of(job, record), job.say, keep)
    return record


def deviates(record: InPlaceRecord) -> bool:
    return bool(record.proven.get(DIFFERENCES))


def tree_of(job: Job, record: InPlaceRecord) -> Path:
    """The directory with the files that this attempt or an earlier one fetched."""
    return _control(job).beside(job.dispatch.op, record.staged)


@contextmanager
def _locked(job: Job, tree: Path) -> Generator[None]:
    """Locks the tree; waits while an earlier attempt holds it, unless this one is stopped."""
    if not tree.exists():
        job.require_hold()
        raise RestoreDiffers("what was fetched for this restore is gone")
    while (lock := try_exclusive(tree / "lock")) is None:
        job.guard.wait(0.2)
    with lock:
        yield


def publish(session: WriteSession, job: Job, record: InPlaceRecord) -> None:
    restore = restores.get(session, job.parse(RestoreArguments).restore_pk)
    restore.report = {"files": record.files, "bytes": record.size, **record.proven}
    if not record.gives_up:
        note_old_data(restore, job, deviates=deviates(record), directories=True)
    addon = addons.get(session, job.addon.pk)
    if addon.status in (AddonStatus.FAILED, AddonStatus.ERROR):
        addon.status, addon.reason = AddonStatus.RUNNING, None


def run_as(job: Job, version: str) -> None:
    """Changes the addon's version. Before the directories are exchanged, so that the supervisor
    starts the right one meanwhile."""

    def change_version(session: WriteSession) -> None:
        addons.get(session, job.addon.pk).version = version

    if version and job.addon.version != version:
        job.change(change_version)
        job.addon.version = version


def clean(job: Job, record: InPlaceRecord) -> str:
    """Puts the old data back. The version first: a managed server is started as its row says."""
    try:
        control = _control(job)
    except NotSupported:
        return ""  # nothing was touched
    if not job.addon.managed and not control.home.exists():
        return ""
    with job.holding(control.held()):
        tree = tree_of(job, record)
        if data_directories.goes_back(control, tree):
            run_as(job, record.was)
        control = _control(job)
        state = data_directories.undo(control, tree)
        for leftover in control.all_beside(job.dispatch.op, job.dispatch.fence):
            if not data_directories.is_settled(control, leftover):
                data_directories.remove(control, leftover)
        if data_directories.is_given_up(control):
            job.change(lambda session: _fail_addon(session, job, state))
        return state


def _fail_addon(session: WriteSession, job: Job, why: str) -> None:
    """The supervisor starts its server no more until a restore succeeds or it is reset."""
    addon = addons.get(session, job.addon.pk)
    addon.status, addon.reason = AddonStatus.FAILED, why


RESTORE_IN_PLACE = Plan(
    record=InPlaceRecord,
    steps=[
        Step("read", "finding the snapshot", read),
        Step("preflight", "checking the addon's machine", preflight),
        Step("fetch", "copying the files beside the present ones", fetch),
        Step("rehearse", "starting the restored server privately", rehearse),
        Step("judge", "judging the differences", judge),
        Step("swap", "putting the restored server in place", swap),
    ],
    publish=publish,
    clean=clean,
    writes=True,
    failed=report_failure,
)
