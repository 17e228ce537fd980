"""Recovers an addon: read, preflight, fetch, log, settle, rehearse, judge, swap.

From its own archive or that of another addon. The newest snapshot before the instant is put beside
the live data, the archived log beside that; the target becomes a position, and the restored server
replays up to it in private. All else is a restore in place: before the swap a failure or an abort
leaves the addon as it was.
"""

from dataclasses import replace

from pydantic import BaseModel, Field

from holdfast.catalog import addons, backups, restores
from holdfast.catalog.archiving import archives
from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import ArchiveRow, Document
from holdfast.contracts.archive import (
    REPLAY,
    REPLAYING,
    Commit,
    Log,
    Replay,
    Replayable,
    Stop,
    Target,
)
from holdfast.contracts.job_arguments import RecoverArguments
from holdfast.domain.archive import windows as rules
from holdfast.domain.archive.windows import Leg
from holdfast.domain.errors import EvidenceMissing, NotSupported, RestoreDiffers
from holdfast.domain.units import show_bytes
from holdfast.jobs.core.job import Job
from holdfast.jobs.core.step import Plan, Step
from holdfast.jobs.snapshots import restore_in_place
from holdfast.jobs.snapshots.restore_in_place import InPlaceRecord, tree_of
from holdfast.kit.clock import rfc3339
from holdfast.usecases.archiving import archives as verbs
from holdfast.usecases.archiving import fetching, windows
from holdfast.usecases.archiving.layout import Layout
from holdfast.usecases.archiving.locating import locate_point
from holdfast.usecases.archiving.marking import require_marking

WAL = "wal"
"""Name of the directory of the log, in the tree of a restore."""


class LegRecord(BaseModel):
    """A part of the log to replay: the key of its line, the line's name, and positions."""

    line: int
    name: str
    start: int
    end: int


class RecoverRecord(InPlaceRecord):
    """`segment`: bytes of a segment of the log, `log_bytes` all of them; `position`: the target, if
    it is one or has a name; `stop`: where the replay ends."""

    legs: list[LegRecord] = Field(default_factory=list[LegRecord])
    segment: int = 0
    position: int | None = None
    log_bytes: int = 0
    lines: list[str] = Field(default_factory=list[str])
    stop: Document = Field(default_factory=Document)


def _engine(job: Job) -> Replayable:
    engine = job.engine()
    if not isinstance(engine, Replayable):
        raise NotSupported(f"{engine.title} cannot be recovered to a point in time")
    return engine


def _archive(session: ReadSession, arguments: RecoverArguments) -> ArchiveRow:
    """That of the addon which the base is of; another one may be restored from it."""
    origin = backups.get(session, arguments.backup_pk).addon_pk
    archive = archives.of_addon(session, origin)
    if archive is None:
        raise EvidenceMissing("that addon keeps no archive any more")
    return archive


def _layout(job: Job) -> Layout:
    with job.tools.catalog.read() as session:
        archive = _archive(session, job.parse(RecoverArguments))
        source = addons.get(session, archive.addon_pk)
        session.expunge_all()
    return verbs.layout_of(job.tools, archive, source)


def _locate(job: Job, name: str) -> int:
    """Finds a point that only the log knows, in all of it: a name must not be there twice."""
    arguments = job.parse(RecoverArguments)
    with job.tools.catalog.read() as session:
        archive = _archive(session, arguments)
        route = windows.planned(session, archive, arguments.backup_pk, arguments.line_pk)
    marking = require_marking(job.engine())
    return locate_point(job.tools.catalog, _layout(job), marking, route.legs, name, job.guard)


def read(job: Job, record: RecoverRecord) -> RecoverRecord:
    """Plans the way. The window was checked when this was ordered; the plan counts."""
    _engine(job)
    arguments = job.parse(RecoverArguments)
    position = arguments.position
    if arguments.point is not None:
        position = _locate(job, arguments.point)
    with job.tools.catalog.read() as session:
        archive = _archive(session, arguments)
        route = windows.planned(session, archive, arguments.backup_pk, arguments.line_pk)
        if arguments.point is not None and position is not None:
            on_line = windows.outlook(session, archive).on([arguments.line_pk])
            nearest = rules.route_to_position(on_line.routes, position)
            if nearest is None:
                raise RestoreDiffers(f"no snapshot leads to the point {arguments.point!r}")
            route = nearest
        legs = list(route.legs)
        if arguments.instant is not None:
            legs = windows.up_to(session, legs, arguments.instant)
        rows = archives.lines_by_pk(session, [leg.line for leg in legs])
        own = archives.of_addon(session, job.addon.pk)
        kept = [archive.pk, *([own.pk] if own else [])]
        names = sorted({row.name for pk in kept for row in archives.lines(session, pk)})
        records = [
            LegRecord(line=leg.line, name=rows[leg.line].name, start=leg.start, end=leg.end)
            for leg in legs
        ]
    base = restore_in_place.read(job, record.model_copy(update={"base_pk": route.base.key}))
    update = {
        "position": position,
        "legs": records,
        "segment": rows[legs[0].line].segment,
        "lines": names,
        "log_bytes": fetching.size_of(job.tools.catalog, legs),
    }
    return RecoverRecord.model_validate({**base.model_dump(), **update})


def preflight(job: Job, record: RecoverRecord) -> RecoverRecord:
    # The log lies beside the base until the swap.
    sized = record.model_copy(update={"size": record.size + record.log_bytes})
    checked = restore_in_place.preflight(job, sized)
    former = {**checked.former, **_engine(job).above(checked.former, record.lines)}
    return record.model_copy(update={"gives_up": checked.gives_up, "former": former})


def fetch(job: Job, record: RecoverRecord) -> RecoverRecord:
    fetched = restore_in_place.fetch(job, record)
    return record.model_copy(update={"staged": fetched.staged})


def lay_out(job: Job, record: RecoverRecord) -> RecoverRecord:
    """Writes the log beside the base as the segments that the server asks for."""
    directory = tree_of(job, record) / WAL
    directory.mkdir(mode=0o711, exist_ok=True)
    layout = _layout(job)
    legs = [Leg(leg.line, leg.start, leg.end) for leg in record.legs]

    def progress(count: int) -> None:
        job.guard.check()
        job.guard.moved(count)

    objects = fetching.fetch_log(job.tools.catalog, layout, legs, directory, progress)
    job.say(f"{show_bytes(record.log_bytes)} of log in {objects} objects")
    return record


def settle(job: Job, record: RecoverRecord) -> RecoverRecord:
    """Turns the target into a position."""
    arguments = job.parse(RecoverArguments)
    target = Target(
        instant=arguments.instant,
        position=record.position,
        transaction=arguments.transaction,
        inclusive=arguments.inclusive,
    )
    version = str(record.manifest["version"])
    last_leg = record.legs[-1]
    clocks = fetching.clocks_of(job.tools.catalog, Leg(last_leg.line, last_leg.start, last_leg.end))
    log = replace(_log(job, record), clocks=clocks)
    stop = _engine(job).settle_stop(version, log, record.manifest["facts"], target)
    last = "nothing after the snapshot" if stop.last is None else _sentence(stop.last)
    beyond = "" if stop.next is None else f"; the first left out: {_sentence(stop.next)}"
    job.say(f"the last change that is kept: {last}{beyond}")
    return record.model_copy(update={"stop": _document(stop)})


def rehearse(job: Job, record: RecoverRecord) -> RecoverRecord:
    if (tree_of(job, record) / REPLAYING).exists():
        job.say("an earlier attempt ended during the replay; the files are copied anew")
        record = lay_out(job, fetch(job, record))
    replay = Replay(_log(job, record), _stop(record.stop))
    rehearsed = restore_in_place.rehearse_with(job, record, {REPLAY: replay})
    return record.model_copy(update={"proven": rehearsed.proven})


def judge(job: Job, record: RecoverRecord) -> RecoverRecord:
    restore_in_place.judge(job, record)
    return record


def swap(job: Job, record: RecoverRecord) -> RecoverRecord:
    restore_in_place.swap(job, record)
    return record


def publish(session: WriteSession, job: Job, record: RecoverRecord) -> None:
    restore_in_place.publish(session, job, record)
    restore = restores.get(session, job.parse(RecoverArguments).restore_pk)
    stop = _stop(record.stop)
    base = backups.get(session, record.base_pk or restore.backup_pk)
    report: Document = {**(restore.report or {}), "snapshot": base.id}
    if stop.last is not None:
        report["lastKept"] = _shown(stop.last)
    if stop.next is not None:
        report["firstLeftOut"] = _shown(stop.next)
    restore.report = report


def _log(job: Job, record: RecoverRecord) -> Log:
    legs = [(leg.name, leg.start, leg.end) for leg in record.legs]
    return Log(tree_of(job, record) / WAL, legs, record.segment)


def _sentence(commit: Commit) -> str:
    return f"transaction {commit.transaction} at {rfc3339(commit.instant)}"


def _shown(commit: Commit) -> Document:
    return {"transaction": commit.transaction, "timestamp": rfc3339(commit.instant)}


def _document(stop: Stop) -> Document:
    def plain(commit: Commit | None) -> list[object] | None:
        return None if commit is None else [commit.position, commit.instant, commit.transaction]

    return {
        "position": stop.position,
        "inclusive": stop.inclusive,
        "last": plain(stop.last),
        "next": plain(stop.next),
    }


def _stop(document: Document) -> Stop:
    last, beyond = (
        Commit(*document[name]) if document[name] else None for name in ("last", "next")
    )
    return Stop(document["position"], document["inclusive"], last, beyond)


RECOVER = Plan(
    record=RecoverRecord,
    steps=[
        Step("read", "finding the snapshot and the log", read),
        Step("preflight", "checking the addon's machine", preflight),
        Step("fetch", "copying the snapshot's files beside the present ones", fetch),
        Step("log", "fetching the log", lay_out),
        Step("settle", "finding the position to stop at", settle),
        Step("rehearse", "replaying the log on a private server", rehearse),
        Step("judge", "judging the differences", judge),
        Step("swap", "putting the recovered server in place", swap),
    ],
    publish=publish,
    clean=restore_in_place.clean,
    writes=True,
    failed=restore_in_place.report_failure,
)
