"""The archived log of a drill: fetched beside the snapshot, up to the moment that is drilled."""

from dataclasses import replace
from pathlib import Path

from holdfast.catalog.archiving import archives
from holdfast.contracts.archive import Log, Replay, Replayable, Target
from holdfast.contracts.job_arguments import DrillArguments
from holdfast.domain.errors import Conflict, NotSupported, PreflightRefused
from holdfast.jobs.drills.trial import Trial
from holdfast.jobs.snapshots.recover import WAL
from holdfast.jobs.snapshots.stored_snapshot import StoredSnapshot
from holdfast.kit.clock import rfc3339
from holdfast.usecases.archiving import archives as verbs
from holdfast.usecases.archiving import fetching, windows


def fetch(trial: Trial, snapshot: StoredSnapshot, tree: Path) -> Replay | None:
    """Writes the log into `tree`; None for a drill of a backup alone.

    PreflightRefused if retention removed what the drill needs, which says nothing against it.
    """
    job, arguments = trial.job, trial.job.parse(DrillArguments)
    if arguments.instant is None or arguments.line_pk is None:
        return None
    engine, catalog = job.engine(), job.tools.catalog
    if not isinstance(engine, Replayable):
        raise NotSupported(f"{engine.title} cannot be recovered to a point in time")
    try:
        with catalog.read() as session:
            archive = archives.of_addon(session, job.addon.pk)
            if archive is None:
                raise PreflightRefused("the addon keeps no archive any more")
            route = windows.planned(session, archive, arguments.backup_pk, arguments.line_pk)
            legs = windows.up_to(session, route.legs, arguments.instant)
            lines = archives.lines_by_pk(session, [leg.line for leg in legs])
            session.expunge_all()
    except Conflict as error:
        raise PreflightRefused(error.message) from error
    directory = tree / WAL
    directory.mkdir(mode=0o711)
    layout = verbs.layout_of(job.tools, archive, job.addon)

    def progress(count: int) -> None:
        job.guard.check()
        job.guard.moved(count)

    fetching.fetch_log(catalog, layout, legs, directory, progress)
    trial.size += fetching.size_of(catalog, legs)
    named = [(lines[leg.line].name, leg.start, leg.end) for leg in legs]
    log = Log(directory, named, lines[legs[0].line].segment)
    stop = engine.settle_stop(
        str(snapshot.manifest["version"]),
        replace(log, clocks=fetching.clocks_of(catalog, legs[-1])),
        snapshot.manifest["facts"],
        Target(instant=arguments.instant, inclusive=True),
    )
    return Replay(log, stop)


def sentence(replay: Replay) -> str:
    """What the replay kept last, and what it left out first."""
    last, beyond = replay.stop.last, replay.stop.next
    kept = "nothing after the snapshot"
    if last is not None:
        kept = f"transaction {last.transaction} at {rfc3339(last.instant)}"
    left = ""
    if beyond is not None:
        left = f"; the first left out: {beyond.transaction} at {rfc3339(beyond.instant)}"
    return f"the last change kept: {kept}{left}"
