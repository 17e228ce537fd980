"""Restoring a snapshot into an addon, in place: read, preflight, fetch, rehearse, swap.

The snapshot becomes a data directory beside the live one and is booted privately and checked while
the old server still serves. Only then the server is stopped, the directories change places and it
starts again, or the one that was booted goes on (`Succeeding`); the old directory stays until the
restored server has answered, and is put back if it does not. Before the swap a failure or an abort
leaves the addon as it was; a takeover goes on from where the directories are. An attached addon is
restored in the same way where the operator said how its server is stopped and started.
"""

import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel

from holdfast.catalog import addons, restores
from holdfast.catalog.database.session import WriteSession
from holdfast.catalog.schema import Document
from holdfast.contracts.local_servers import (
    DIFFERENCES,
    FOREIGN,
    Remembered,
    Rewindable,
    is_foreign,
)
from holdfast.domain.addon import AddonStatus
from holdfast.domain.errors import (
    EvidenceMissing,
    Failure,
    NotSupported,
    ObjectMissing,
    PreflightRefused,
    RestoreDiffers,
    SealBroken,
    StoreUnavailable,
)
from holdfast.domain.snapshot import FORMAT
from holdfast.domain.units import show_bytes
from holdfast.jobs.core.consent import keep_old_hours, note_old_data, require_consent
from holdfast.jobs.core.job import Job
from holdfast.jobs.core.origins import is_trusted
from holdfast.jobs.core.step import Plan, Step
from holdfast.jobs.dumps.proof import require
from holdfast.jobs.snapshots import data_directories, proof
from holdfast.kit.locks import try_exclusive
from holdfast.repositories.restic.read.materialise import materialise
from holdfast.repositories.restic.read.reading import Totals
from holdfast.repositories.restic.repository import Repository
from holdfast.usecases.adoption.survey import manifest_of
from holdfast.usecases.hosting.server_control import ServerControl, control_of

_ROOM = 1.05
_SPARE_BYTES = 64 << 20
_BLOCK = 512  # bytes that st_blocks counts in


class RewindRecord(BaseModel):
    """What the steps learned so far. Sizes in bytes; `was` is the addon's version before; `staged`
    is the number of the attempt that fetched the files; `former` is what `Remembered` says of the
    server that is replaced."""

    was: str = ""
    staged: int = 0
    tree: str = ""
    files: int = 0
    size: int = 0
    gives_up: bool = False
    manifest: Document = {}
    former: Document = {}
    proven: Document = {}


def _engine(job: Job) -> Rewindable:
    engine = job.engine()
    if not isinstance(engine, Rewindable):
        raise NotSupported(f"{engine.title} cannot be restored from snapshots")
    return engine


def _seat(job: Job) -> ServerControl:
    return control_of(job.tools, job.addon)


def read(job: Job, record: RewindRecord) -> RewindRecord:
    _engine(job)
    _seat(job)
    job.require_running(enters=False)
    return found(job, record)


def found(job: Job, record: RewindRecord) -> RewindRecord:
    """From the first copy that is there: the platform's own, else an additional one."""
    source = next(proof.sources(job, int(str(job.arguments["backup"]))))
    repository, tree = source.repository, source.snapshot.tree
    manifest = manifest_of(repository, tree)
    if manifest.get("format") != FORMAT:
        raise NotSupported(f"unknown snapshot format {manifest.get('format')!r}")
    if not is_trusted(job):
        manifest = {**manifest, "facts": {**manifest["facts"], FOREIGN: True}}
    update = {
        "was": job.addon.version,
        "tree": tree,
        "files": source.totals.files,
        "size": source.totals.size,
        "manifest": manifest,
    }
    return record.model_copy(update=update)


def preflight(job: Job, record: RewindRecord) -> RewindRecord:
    """Everything that can be known before anything is written."""
    seat = _seat(job)
    problems = [
        *_untrusted(job, record),
        *seat.obstacles(),
        *_engine(job).obstacles(seat.place, record.manifest),
    ]
    if problems:
        raise PreflightRefused("; ".join(problems))
    engine = job.engine()
    former: Document = {}
    if isinstance(engine, Remembered):
        former = dict(engine.remember(seat.place))
    gives_up = _gives_up(job, seat, record)
    return record.model_copy(update={"gives_up": gives_up, "former": former})


def _untrusted(job: Job, record: RewindRecord) -> list[str]:
    """A foreign snapshot runs only where a server's files and user are its own."""
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


def _gives_up(job: Job, seat: ServerControl, record: RewindRecord) -> bool:
    """Must the present data go before there is room for the copy? PreflightRefused unless that
    was allowed, and helps."""
    free = shutil.disk_usage(seat.home if seat.home.exists() else seat.home.parent).free
    needed = round(record.size * _ROOM) + _SPARE_BYTES
    if free >= needed:
        return False
    lack = (
        f"there is no room for a second copy: {show_bytes(needed)} are needed,"
        f" {show_bytes(free)} are free"
    )
    if not job.arguments.get("replace"):
        raise PreflightRefused(f"{lack}; `replace` would give up the present data first")
    held = _disk_use(seat.place.directory)
    if free + held < needed:
        raise PreflightRefused(
            f"{lack}, and the present data takes no more than {show_bytes(held)}"
        )
    return True


def _disk_use(directory: Path) -> int:
    """Bytes that removing it would free."""
    files = [path for path in directory.rglob("*") if path.is_file() and not path.is_symlink()]
    return sum(path.stat().st_blocks * _BLOCK for path in files)


def fetch(job: Job, record: RewindRecord) -> RewindRecord:
    seat = _seat(job)
    tree = seat.beside(job.what.op, job.what.fence)
    bring(job, record, tree, lambda: _clear(job, seat, gives_up=record.gives_up))
    _engine(job).arrange(tree, data_directories.model(seat))
    return record.model_copy(update={"staged": job.what.fence})


def bring(job: Job, record: RewindRecord, tree: Path, clear: Callable[[], None]) -> None:
    """All files of the snapshot, from the first copy that gives every byte as it was written.

    `clear` makes `tree` an empty directory, whatever an attempt before left in it.
    """
    problem: Failure | None = None
    for source in proof.sources(job, int(str(job.arguments["backup"]))):
        try:
            if record.gives_up:
                require([proof.read_all(job, source.repository, record.tree)])
            clear()
            _write(job, record, source.repository, tree)
        except (ObjectMissing, SealBroken, EvidenceMissing, StoreUnavailable) as error:
            job.say(f"this copy cannot be used: {error.message}")
            problem = error
        else:
            return
    if problem is not None:
        raise problem


def _clear(job: Job, seat: ServerControl, *, gives_up: bool) -> None:
    """Room for the copy: what an attempt before left goes, and the live data where it must."""
    op, attempt = job.what.op, job.what.fence
    tree = seat.beside(op, attempt)
    with job.holding(seat.held()):
        job.guard.check()
        for leftover in seat.all_beside(op, attempt):
            data_directories.remove(seat, leftover)
        tree.mkdir(mode=0o711)
        if gives_up:
            job.say(
                "giving up the present data, as was allowed: there is no room for it and the"
                " copy; if this restore fails from here on, the addon has no data"
            )
            data_directories.give_up(seat, tree)


def _write(job: Job, record: RewindRecord, repository: Repository, tree: Path) -> None:
    job.guard.bytes_expected = record.size
    job.guard.watch_for_stall(on=True)
    try:
        written = materialise(repository, record.tree, tree, job.moved)
    finally:
        job.guard.watch_for_stall(on=False)
    if written != Totals(record.files, record.size):
        raise RestoreDiffers(f"{written.files} files with {written.size} bytes were written")


def rehearse(job: Job, record: RewindRecord) -> RewindRecord:
    """In a lock of its own, for the server goes on meanwhile: of two attempts one would end what
    the other has booted in the same directory."""
    seat, facts = _seat(job), {**record.manifest["facts"], **record.former}
    tree, place = _tree(job, record, seat), data_directories.model(seat)
    with job.holding(_locked(job, tree)):
        proven = _engine(job).rehearse(tree, place, facts, job.guard)
    job.say("the restored server starts and is sound")
    return record.model_copy(update={"proven": dict(proven)})


def judge(job: Job, record: RewindRecord) -> RewindRecord:
    """A step of its own, so that a restore that ends here shows all differences."""
    require_consent(job, record.proven.get(DIFFERENCES, []))
    return record


def report_failure(session: WriteSession, job: Job, record: RewindRecord) -> None:
    """What a person has to have seen before they accept it."""
    if deviates(record):
        restore = restores.get(session, int(str(job.arguments["restore"])))
        restore.report = {DIFFERENCES: record.proven[DIFFERENCES]}


def swap(job: Job, record: RewindRecord) -> RewindRecord:
    """From here on it goes forward, or back to where it was."""
    with job.holding(_seat(job).held()):
        job.guard.check()
        job.say("stopping the server; the restored data takes its place")
        if job.addon.managed:
            _choose_version(job, str(record.manifest["version"]))
        seat = _seat(job)
        keep = None
        if keep_old_hours(job, deviates=deviates(record)) and not record.gives_up:
            keep = data_directories.aside_of(seat, job.what.op, record.was)
        data_directories.exchange(seat, _tree(job, record, seat), job.say, keep)
    return record


def deviates(record: RewindRecord) -> bool:
    return bool(record.proven.get(DIFFERENCES))


def _tree(job: Job, record: RewindRecord, seat: ServerControl) -> Path:
    """What was fetched, by this attempt or one before it."""
    return seat.beside(job.what.op, record.staged)


@contextmanager
def _locked(job: Job, tree: Path) -> Generator[None]:
    """Waits for an attempt before this one that may be paused in it, unless this one is stopped."""
    if not tree.exists():
        job.require_hold()
        raise RestoreDiffers("what was fetched for this restore is gone")
    while (lock := try_exclusive(tree / "lock")) is None:
        job.guard.wait(0.2)
    with lock:
        yield


def _choose_version(job: Job, wanted: str) -> None:
    """The addon returns to the version of the snapshot, as nearly as this machine can."""
    run_as(job, _engine(job).runs_as(_seat(job).place, wanted))
    if job.addon.version != wanted:
        job.say(f"a snapshot of {wanted} now runs as {job.addon.version}")


def publish(session: WriteSession, job: Job, record: RewindRecord) -> None:
    restore = restores.get(session, int(str(job.arguments["restore"])))
    restore.report = {"files": record.files, "bytes": record.size, **record.proven}
    if not record.gives_up:
        note_old_data(restore, job, deviates=deviates(record))
    addon = addons.get(session, job.addon.pk)
    if addon.status in (AddonStatus.FAILED, AddonStatus.ERROR):
        addon.status, addon.reason = AddonStatus.RUNNING, None


def run_as(job: Job, version: str) -> None:
    """Before the directories change places: whoever starts the server meanwhile takes it too."""

    def change_version(session: WriteSession) -> None:
        addons.get(session, job.addon.pk).version = version

    if version and job.addon.version != version:
        job.change(change_version)
        job.addon.version = version


def clean(job: Job, record: RewindRecord) -> str:
    """The catalogue's version first: the seat of a managed addon starts what it says."""
    try:
        seat = _seat(job)
    except NotSupported:
        return ""  # nothing was touched
    if not job.addon.managed and not seat.home.exists():
        return ""
    with job.holding(seat.held()):
        tree = _tree(job, record, seat)
        if data_directories.goes_back(seat, tree):
            run_as(job, record.was)
        seat = _seat(job)
        state = data_directories.undo(seat, tree)
        for leftover in seat.all_beside(job.what.op, job.what.fence):
            if not data_directories.is_settled(seat, leftover):
                data_directories.remove(seat, leftover)
        if data_directories.is_given_up(seat):
            _fail_addon(job, state)
        return state


def _fail_addon(job: Job, why: str) -> None:
    """Nobody starts its server any more until a restore succeeds or it is reset."""

    def fail(session: WriteSession) -> None:
        addon = addons.get(session, job.addon.pk)
        addon.status, addon.reason = AddonStatus.FAILED, why

    job.change(fail)


REWIND = Plan(
    record=RewindRecord,
    steps=[
        Step("read", "finding the snapshot", read),
        Step("preflight", "checking the addon's machine", preflight),
        Step("fetch", "copying the files beside the present ones", fetch),
        Step("rehearse", "starting the restored server where nobody sees it", rehearse),
        Step("judge", "judging the differences", judge),
        Step("swap", "putting the restored server in place", swap),
    ],
    publish=publish,
    clean=clean,
    writes=True,
    failed=report_failure,
)
