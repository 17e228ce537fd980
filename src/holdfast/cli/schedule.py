"""`holdfast schedule`: when backups are taken by themselves, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, cast

import typer

from holdfast.cli.backup.backup import OPTIONS, Compression, Kind
from holdfast.cli.session.options import Force, InAddon, Limit
from holdfast.cli.session.session import Session
from holdfast.cli.session.verbs import noun, verb
from holdfast.cli.terminal import prompts
from holdfast.cli.terminal.problems import naming
from holdfast.cli.when import Every, When, in_words, until, weekday
from holdfast.client import Client

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
Which = tuple[str, str, str]


@dataclass(frozen=True)
class What:
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
        given = prompts.body(
            self.file,
            {
                "scheduling": when.scheduling(),
                "retentionTime": self.keep,
                "backupType": self.type,
                "compressionType": self.compression,
                "customDestinationId": self.destination,
            },
        )
        if "scheduling" not in given:
            raise typer.BadParameter("give --every hourly, daily or weekly")
        if "retentionTime" not in given:
            raise typer.BadParameter("how long are backups kept? Give --keep DAYS")
        return {"backupType": Kind.DUMP, **given}


def _resolved(client: Client, session: Session, where: InAddon, name: str) -> Which:
    """People know a schedule by its interval; only ids name those that are deleted."""
    project, addon = where.of(session)
    if name not in [str(every) for every in Every]:
        return project, addon, name
    found = [s for s in client.schedules.list(project, addon) if s.scheduling.interval == name]
    if len(found) == 1:
        return project, addon, found[0].id
    if not found:
        raise typer.BadParameter(f"{addon} has no {name} schedule")
    several = " or ".join(f"{s.id} ({s.backup_type})" for s in found)
    raise typer.BadParameter(f"{addon} has several {name} schedules: say {several}")


def _told(schedule: Mapping[str, object]) -> dict[str, object]:
    following = str(schedule.get("nextAt") or "")
    return {
        **schedule,
        "when": in_words(cast("Mapping[str, object]", schedule.get("scheduling") or {})),
        "kept": _days(schedule.get("retentionTime")),
        "place": schedule.get("customDestinationId") or _places(schedule),
        "next": f"{following[:16].replace('T', ' ')} ({until(following)})",
    }


def _days(count: object) -> str:
    return f"{count} day{'' if count == 1 else 's'}"


def _places(schedule: Mapping[str, object]) -> str:
    more = cast("list[Mapping[str, object]]", schedule.get("additionalDestinations") or [])
    return ", ".join(["(server)", *(str(each.get("destinationId")) for each in more)])


_COLUMNS = {"ID": "id", "TYPE": "backupType", "WHEN (UTC)": "when", "KEPT": "kept"}


@verb(app, "list", "holdfast schedule list --project shop --addon orders")
def show(session: Session, where: InAddon) -> None:
    """List the schedules of an addon."""
    with session.client() as client:
        found = [s.document() for s in client.schedules.list(*where.of(session))]
    session.printer.rows(found, {**_COLUMNS, "STORED AT": "place", "NEXT": "next"}, _told)


@verb(
    app,
    "create",
    "holdfast schedule create -p shop -a orders --every daily --at 03:30 --keep 30",
    "holdfast schedule create -p shop -a orders --every hourly --at :00 --at :30 --keep 7",
    "holdfast schedule create -p shop -a orders --every weekly --day sun --at 04:00 --keep 120"
    " --destination off-site --compression zstd",
)
def create(session: Session, where: InAddon, when: When, what: What) -> None:
    """Take backups every hour, day or week, and keep each for --keep days."""
    body = what.body(when)
    with session.client() as client, naming(**OPTIONS, scheduling="--every/--at"):
        made = client.schedules.create(*where.of(session), body)
    session.printer.rows([made.document()], {**_COLUMNS, "NEXT": "next"}, _told)


@verb(app, "get", "holdfast schedule get daily --project shop --addon orders")
def get(session: Session, where: InAddon, schedule: Id) -> None:
    """Show a schedule."""
    with session.client() as client:
        found = client.schedules.get(*_resolved(client, session, where, schedule))
    session.printer.record(found.document())


@verb(app, "update", "holdfast schedule update daily -p shop -a orders --keep 60")
def update(
    session: Session,
    where: InAddon,
    schedule: Id,
    keep: Annotated[int, typer.Option("--keep", "-k", min=1, help="Days until one expires.")],
) -> None:
    """Change how long future backups are kept. For other times, delete it and create another."""
    with session.client() as client, naming(**OPTIONS):
        which = _resolved(client, session, where, schedule)
        changed = client.schedules.update(*which, keep)
    session.printer.rows([changed.document()], {**_COLUMNS, "NEXT": "next"}, _told)


@verb(app, "delete", "holdfast schedule delete daily --project shop --addon orders --force")
def delete(session: Session, where: InAddon, schedule: Id, force: Force = False) -> None:
    """Delete a schedule. Its backups stay until they expire."""
    with session.client() as client:
        which = _resolved(client, session, where, schedule)
        prompts.confirm(f"Delete the schedule {schedule} of {which[1]}?", force=force)
        client.schedules.delete(*which)
    session.printer.done(f"deleted schedule {which[2]}")


@verb(app, "next", "holdfast schedule next daily -p shop -a orders --count 5")
def upcoming(
    session: Session,
    where: InAddon,
    schedule: Id,
    count: Annotated[int, typer.Option("--count", min=1, max=1000, help="How many.")] = 10,
) -> None:
    """Show when a schedule is due next."""
    with session.client() as client:
        which = _resolved(client, session, where, schedule)
        found = [u.document() for u in client.schedules.upcoming(*which, count)]
    columns = {"AT": "at", "DAY": "day", "IN": "in"}
    session.printer.rows(found, columns, _dated)


def _dated(upcoming: Mapping[str, object]) -> dict[str, object]:
    at = str(upcoming["at"])
    return {**upcoming, "day": weekday(at), "in": until(at).removeprefix("in ")}


@verb(app, "history", "holdfast schedule history daily -p shop -a orders --limit 20")
def history(session: Session, where: InAddon, schedule: Id, limit: Limit = None) -> None:
    """Show what became of a schedule's occurrences, the latest first."""
    with session.client() as client:
        which = _resolved(client, session, where, schedule)
        found = [o.document() for o in islice(client.schedules.history(*which), limit)]
    columns = {"AT": "at", "OUTCOME": "outcome", "BACKUP": "backup.id", "STATUS": "backup.status"}
    session.printer.rows(found, {**columns, "WHY": "why"}, _why)


def _why(occurrence: Mapping[str, object]) -> dict[str, object]:
    count = occurrence.get("count")
    since = str(occurrence.get("since") or "")[:16].replace("T", " ")
    many = f"{count} since {since}: " if since else ""
    return {**occurrence, "why": f"{many}{occurrence.get('reason')}"}


@verb(app, "why", "holdfast schedule why daily 2026-11-21T03:30Z -p shop -a orders")
def why(
    session: Session,
    where: InAddon,
    schedule: Id,
    at: Annotated[str, typer.Argument(metavar="INSTANT", help="An RFC 3339 time; UTC.")],
) -> None:
    """Say why there was a backup at some time, or why not."""
    with session.client() as client:
        found = client.schedules.why(*_resolved(client, session, where, schedule), at)
    session.printer.told(found.document(), found.sentence)
