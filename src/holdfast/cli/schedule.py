"""`holdfast schedule`: creates, lists and explains backup schedules."""

from dataclasses import dataclass
from itertools import islice
from typing import Annotated

import typer

from holdfast.cli.backup.backup import OPTIONS, Compression, Kind
from holdfast.cli.session.options import Force, InAddon, Limit
from holdfast.cli.session.session import Session
from holdfast.cli.session.verbs import noun, verb
from holdfast.cli.terminal import prompts
from holdfast.cli.terminal.problems import naming
from holdfast.cli.when import Every, When, in_words, until, weekday
from holdfast.client import Client
from holdfast.client.models.upkeep import Occurrence, Schedule, Upcoming

app = noun("Backup schedules of an addon. All times are UTC.")

Id = Annotated[
    str,
    typer.Argument(
        metavar="SCHEDULE", help="Schedule id, or `hourly`, `daily`, `weekly` if there is one such."
    ),
]
Keep = Annotated[
    int | None, typer.Option("--keep", "-k", min=1, help="Days until a backup expires.")
]
ScheduleNames = tuple[str, str, str]
"""Project, addon, schedule."""


@dataclass(frozen=True)
class BackupOptions:
    """The options of a schedule's backups."""

    keep: Keep = None
    type: Annotated[Kind | None, typer.Option("--type", "-t", help="Default: dump.")] = None
    compression: Annotated[
        Compression | None, typer.Option("--compression", "-c", help="Of a dump; default gz.")
    ] = None
    destination: Annotated[
        str | None, typer.Option("--destination", "-d", help="Destination id, for dumps.")
    ] = None
    file: prompts.BodyFile = None

    def body(self, when: When) -> dict[str, object]:
        fields = prompts.body(
            self.file,
            {
                "scheduling": when.scheduling(),
                "retentionTime": self.keep,
                "backupType": self.type,
                "compressionType": self.compression,
                "customDestinationId": self.destination,
            },
        )
        if "scheduling" not in fields:
            raise typer.BadParameter("give --every hourly, daily or weekly")
        if "retentionTime" not in fields:
            raise typer.BadParameter("how long are backups kept? Give --keep DAYS")
        return {"backupType": Kind.DUMP, **fields}


def _resolved(client: Client, session: Session, scope: InAddon, name: str) -> ScheduleNames:
    """Finds a schedule by its id or its interval; deleted ones have ids only."""
    project, addon = scope.of(session)
    if name not in [str(every) for every in Every]:
        return project, addon, name
    matching = [s for s in client.schedules.list(project, addon) if s.scheduling.interval == name]
    if len(matching) == 1:
        return project, addon, matching[0].id
    if not matching:
        raise typer.BadParameter(f"{addon} has no {name} schedule")
    several = " or ".join(f"{s.id} ({s.backup_type})" for s in matching)
    raise typer.BadParameter(f"{addon} has several {name} schedules: say {several}")


def _described(schedule: Schedule) -> dict[str, str]:
    """Words times, retention and stores."""
    following, days = schedule.next_at, schedule.retention_time
    due = f"{following[:16].replace('T', ' ')} ({until(following)})" if following else ""
    extras = [extra.destination_id for extra in schedule.additional_destinations]
    return {
        "when": in_words(schedule.scheduling),
        "kept": f"{days} day{'' if days == 1 else 's'}",
        "place": schedule.custom_destination_id or ", ".join(["(server)", *extras]),
        "next": due or f"paused by {schedule.paused_by}",
    }


_COLUMNS = {"ID": "id", "TYPE": "backupType", "WHEN (UTC)": "when", "KEPT": "kept"}


@verb(app, "list", "holdfast schedule list --project shop --addon orders")
def show(session: Session, scope: InAddon) -> None:
    """List the schedules of an addon."""
    with session.client() as client:
        schedules = list(client.schedules.list(*scope.of(session)))
    session.printer.rows(schedules, {**_COLUMNS, "STORED AT": "place", "NEXT": "next"}, _described)


@verb(
    app,
    "create",
    "holdfast schedule create -p shop -a orders --every daily --at 03:30 --keep 30",
    "holdfast schedule create -p shop -a orders --every hourly --at :00 --at :30 --keep 7",
    "holdfast schedule create -p shop -a orders --every weekly --day sun --at 04:00 --keep 120"
    " --destination off-site --compression zstd",
)
def create(session: Session, scope: InAddon, when: When, fields: BackupOptions) -> None:
    """Take backups every hour, day or week, and keep each for --keep days."""
    body = fields.body(when)
    with session.client() as client, naming(**OPTIONS, scheduling="--every/--at"):
        schedule = client.schedules.create(*scope.of(session), body)
    session.printer.rows([schedule], {**_COLUMNS, "NEXT": "next"}, _described)


@verb(app, "get", "holdfast schedule get daily --project shop --addon orders")
def get(session: Session, scope: InAddon, schedule: Id) -> None:
    """Show a schedule."""
    with session.client() as client:
        shown = client.schedules.get(*_resolved(client, session, scope, schedule))
    session.printer.record(shown)


@verb(app, "update", "holdfast schedule update daily -p shop -a orders --keep 60")
def update(
    session: Session,
    scope: InAddon,
    schedule: Id,
    keep: Annotated[int, typer.Option("--keep", "-k", min=1, help="Days until one expires.")],
) -> None:
    """Change how long future backups are kept. For other times, delete it and create another."""
    with session.client() as client, naming(**OPTIONS):
        which = _resolved(client, session, scope, schedule)
        changed = client.schedules.update(*which, keep)
    session.printer.rows([changed], {**_COLUMNS, "NEXT": "next"}, _described)


@verb(app, "pause", 'holdfast schedule pause daily -p shop -a orders --reason "until the move"')
def pause(
    session: Session,
    scope: InAddon,
    schedule: Id,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; it is shown.")] = None,
) -> None:
    """Take no backups for a schedule until it is resumed. The addon's other schedules go on."""
    with session.client() as client:
        which = _resolved(client, session, scope, schedule)
        paused = client.schedules.pause(*which, reason)
    session.printer.rows([paused], {**_COLUMNS, "NEXT": "next"}, _described)


@verb(app, "resume", "holdfast schedule resume daily -p shop -a orders")
def resume(session: Session, scope: InAddon, schedule: Id) -> None:
    """Take backups for a paused schedule again, from its next instant on."""
    with session.client() as client:
        resumed = client.schedules.resume(*_resolved(client, session, scope, schedule))
    session.printer.rows([resumed], {**_COLUMNS, "NEXT": "next"}, _described)


@verb(app, "delete", "holdfast schedule delete daily --project shop --addon orders --force")
def delete(session: Session, scope: InAddon, schedule: Id, force: Force = False) -> None:
    """Delete a schedule. Its backups stay until they expire."""
    with session.client() as client:
        which = _resolved(client, session, scope, schedule)
        prompts.confirm(f"Delete the schedule {schedule} of {which[1]}?", force=force)
        client.schedules.delete(*which)
    session.printer.done(f"deleted schedule {which[2]}")


@verb(app, "next", "holdfast schedule next daily -p shop -a orders --count 5")
def upcoming(
    session: Session,
    scope: InAddon,
    schedule: Id,
    count: Annotated[int, typer.Option("--count", min=1, max=1000, help="How many.")] = 10,
) -> None:
    """Show when a schedule is due next."""
    with session.client() as client:
        which = _resolved(client, session, scope, schedule)
        instants = list(client.schedules.upcoming(*which, count))
    columns = {"AT": "at", "DAY": "day", "IN": "in"}
    session.printer.rows(instants, columns, dated)


def dated(instant: Upcoming) -> dict[str, str]:
    """Words the day, and how far off it is."""
    return {"day": weekday(instant.at), "in": until(instant.at).removeprefix("in ")}


@verb(app, "history", "holdfast schedule history daily -p shop -a orders --limit 20")
def history(session: Session, scope: InAddon, schedule: Id, limit: Limit = None) -> None:
    """Show the outcomes of a schedule's occurrences, the latest first."""
    with session.client() as client:
        which = _resolved(client, session, scope, schedule)
        occurrences = list(islice(client.schedules.history(*which), limit))
    columns = {"AT": "at", "OUTCOME": "outcome", "BACKUP": "backup.id", "STATUS": "backup.status"}
    session.printer.rows(occurrences, {**columns, "WHY": "why"}, with_reason)


def with_reason(occurrence: Occurrence) -> dict[str, str]:
    """Words the reason, with the number of missed instants."""
    since = (occurrence.since or "")[:16].replace("T", " ")
    many = f"{occurrence.count} since {since}: " if since else ""
    return {"why": f"{many}{occurrence.reason}"}


@verb(app, "why", "holdfast schedule why daily 2026-11-21T03:30Z -p shop -a orders")
def why(
    session: Session,
    scope: InAddon,
    schedule: Id,
    at: Annotated[str, typer.Argument(metavar="INSTANT", help="An RFC 3339 time; UTC.")],
) -> None:
    """Say why there was a backup at some time, or why not."""
    with session.client() as client:
        explanation = client.schedules.why(*_resolved(client, session, scope, schedule), at)
    session.printer.sentence(explanation, explanation.sentence)
