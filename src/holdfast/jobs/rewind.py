"""Restoring a snapshot into an addon, in place: read, preflight, fetch, rehearse, swap.

The snapshot becomes a data directory beside the live one and is booted privately and checked while
the old server still serves. Only then the server is stopped, the directories change places and it
starts again; the old directory stays until the restored server has answered, and is put back if it
does not. Before the swap a failure or an abort leaves the addon as it was; a takeover goes on from
where the directories are. An attached addon is restored in the same way where the operator said
how its server is stopped and started.
"""

import json
import shutil

from pydantic import BaseModel

from holdfast.catalog import addons, backups, copies, restores
from holdfast.catalog.schema import Backup, Copy, Document
from holdfast.catalog.session import WriteSession
from holdfast.contracts.engine import Rewindable
from holdfast.domain.errors import NotSupported, PreflightRefused, RestoreDiffers
from holdfast.domain.snapshot import FORMAT, MANIFEST
from holdfast.domain.units import show_bytes
from holdfast.jobs import exchange
from holdfast.jobs.seats import Seat, seat_of
from holdfast.jobs.step import Plan, Step
from holdfast.jobs.toolbox import Job
from holdfast.jobs.vaults import snapshot_id
from holdfast.repositories.restic.reading import Totals, blobs, materialise, prove
from holdfast.repositories.restic.repository import Repository

_ROOM = 1.05
_SPARE_BYTES = 64 << 20


class RewindRecord(BaseModel):
    """What the steps learned so far. Sizes in bytes; `was` is the addon's version before."""

    was: str = ""
    copy_pk: int = 0
    snapshot: str = ""
    tree: str = ""
    files: int = 0
    size: int = 0
    manifest: Document = {}
    proven: Document = {}


def _backup(job: Job) -> tuple[Backup, list[Copy]]:
    with job.tools.catalog.read() as session:
        backup = backups.get(session, int(str(job.arguments["backup"])))
        return backup, copies.of_backups(session, [backup.pk])[backup.pk]


def _engine(job: Job) -> Rewindable:
    engine = job.engine()
    if not isinstance(engine, Rewindable):
        raise NotSupported(f"{engine.title} cannot be restored from snapshots")
    return engine


def _seat(job: Job) -> Seat:
    return seat_of(job.tools, job.addon)


def _copy(job: Job, record: RewindRecord) -> Copy:
    return next(copy for copy in _backup(job)[1] if copy.pk == record.copy_pk)


def read(job: Job, record: RewindRecord) -> RewindRecord:
    """Takes the first copy that is there: the platform's own, else an additional one."""
    _engine(job)
    _seat(job)
    job.require_running()
    _, held = _backup(job)
    for copy in copies.readable(held):
        repository = job.tools.vaults.of_copy(copy)
        snapshot = repository.snapshot(snapshot_id(copy))
        totals = prove(repository, snapshot.tree)
        manifest = json.loads(b"".join(_file(repository, snapshot.tree, MANIFEST.encode())))
        if manifest.get("format") != FORMAT:
            raise NotSupported(f"unknown snapshot format {manifest.get('format')!r}")
        found = {
            "was": job.addon.version,
            "copy_pk": copy.pk,
            "snapshot": snapshot.id,
            "tree": snapshot.tree,
            "files": totals.files,
            "size": totals.size,
            "manifest": manifest,
        }
        return record.model_copy(update=found)
    raise RestoreDiffers("no copy of this snapshot is there any more")


def _file(repository: Repository, tree: str, wanted: bytes) -> list[bytes]:
    for path, node in repository.walk(tree):
        if path == wanted:
            return list(blobs(repository, node.content))
    raise RestoreDiffers(f"the snapshot holds no {wanted.decode()}")


def preflight(job: Job, record: RewindRecord) -> RewindRecord:
    """Everything that can be known before anything is written."""
    seat = _seat(job)
    problems = [*seat.obstacles(), *_engine(job).obstacles(seat.place, record.manifest)]
    if problems:
        raise PreflightRefused("; ".join(problems))
    _require_room(seat, record)
    return record


def _require_room(seat: Seat, record: RewindRecord) -> None:
    free = shutil.disk_usage(seat.home if seat.home.exists() else seat.home.parent).free
    needed = round(record.size * _ROOM) + _SPARE_BYTES
    if free < needed:
        raise PreflightRefused(
            f"there is no room for a second copy: {show_bytes(needed)} are needed,"
            f" {show_bytes(free)} are free"
        )


def fetch(job: Job, record: RewindRecord) -> RewindRecord:
    seat = _seat(job)
    tree = seat.beside(job.what.op)
    if tree.exists():
        shutil.rmtree(tree)  # of an attempt that died; the live directory is elsewhere
    with seat.held():
        tree.mkdir(mode=0o711)
    repository = job.tools.vaults.of_copy(_copy(job, record))
    job.guard.bytes_expected = record.size
    job.guard.watch_for_stall(on=True)
    try:
        written = materialise(repository, record.tree, tree, job.moved)
    finally:
        job.guard.watch_for_stall(on=False)
    if written != Totals(record.files, record.size):
        raise RestoreDiffers(f"{written.files} files with {written.size} bytes were written")
    _engine(job).arrange(tree, seat.place)
    return record


def rehearse(job: Job, record: RewindRecord) -> RewindRecord:
    seat, facts = _seat(job), record.manifest["facts"]
    proven = _engine(job).rehearse(seat.beside(job.what.op), seat.place, facts, job.guard)
    job.say("the restored server starts and is sound")
    return record.model_copy(update={"proven": dict(proven)})


def swap(job: Job, record: RewindRecord) -> RewindRecord:
    """From here on it goes forward, or back to where it was."""
    with _seat(job).held():
        job.guard.check()
        job.say("stopping the server; the restored data takes its place")  # fences a late worker
        if job.addon.managed:
            _choose_version(job, str(record.manifest["version"]))
        exchange.exchange(_seat(job), _seat(job).beside(job.what.op), job.say)
    return record


def _choose_version(job: Job, wanted: str) -> None:
    """The addon returns to the version of the snapshot, as nearly as this machine can."""
    _run_as(job, _engine(job).runs_as(wanted))
    if job.addon.version != wanted:
        job.say(f"{wanted} is not installed here; it runs as {job.addon.version}")


def publish(session: WriteSession, job: Job, record: RewindRecord) -> None:
    restore = restores.get(session, int(str(job.arguments["restore"])))
    restore.report = {"files": record.files, "bytes": record.size, **record.proven}


def _run_as(job: Job, version: str) -> None:
    """Before the directories change places: whoever starts the server meanwhile takes it too."""
    if version and job.addon.version != version:
        with job.tools.catalog.write() as session:
            addons.get(session, job.addon.pk).version = version
        job.addon.version = version


def clean(job: Job, record: RewindRecord) -> str:
    """The catalogue's version first: the seat of a managed addon starts what it says."""
    try:
        seat = _seat(job)
    except NotSupported:
        return ""  # nothing was touched
    tree = seat.beside(job.what.op)
    if not job.addon.managed and not seat.home.exists():
        return ""
    with seat.held():
        if exchange.goes_back(seat, tree):
            _run_as(job, record.was)
        return exchange.undo(_seat(job), tree)


REWIND = Plan(
    record=RewindRecord,
    steps=[
        Step("read", "finding the snapshot", read),
        Step("preflight", "checking the addon's machine", preflight),
        Step("fetch", "copying the files beside the present ones", fetch),
        Step("rehearse", "starting the restored server where nobody sees it", rehearse),
        Step("swap", "putting the restored server in place", swap),
    ],
    publish=publish,
    clean=clean,
    writes=True,
)
