"""`holdfast alarm`: what is wrong, and what to do about it."""

from itertools import islice
from typing import Annotated

import typer

from holdfast.cli.session.options import Force, Limit
from holdfast.cli.session.session import Session
from holdfast.cli.session.verbs import noun, verb
from holdfast.cli.terminal import prompts
from holdfast.cli.terminal.output import note
from holdfast.client.alarms import Alarm

app = noun("Alarms: what is wrong, since when, and what to do about it.")

Id = Annotated[str, typer.Argument(metavar="ALARM_ID", help="See `alarm list`.")]

_COLUMNS = {
    "ID": "id",
    "SEVERITY": "severity",
    "KIND": "kind",
    "OF": "subject",
    "REASON": "reason",
    "SINCE": "since",
    "STATE": "state",
}


@verb(app, "list", "holdfast alarm list", "holdfast alarm list --all --severity critical")
def show_all(
    session: Session,
    closed_too: Annotated[bool, typer.Option("--all", help="Closed ones, too.")] = False,
    severity: Annotated[
        str | None, typer.Option("--severity", help="Only critical, warning or info ones.")
    ] = None,
    project: Annotated[
        str | None, typer.Option("--project", "-p", help="Only about its addons.")
    ] = None,
    limit: Limit = None,
) -> None:
    """List the open alarms, the newest first."""
    params: dict[str, str | int] = {} if closed_too else {"open": "true"}
    if severity is not None:
        params["severity"] = severity
    if project is not None:
        params["projectId"] = project
    with session.client() as client:
        alarms = list(islice(client.alarms.list(params), limit))
    session.printer.rows(alarms, _COLUMNS, lambda alarm: {"state": state_of(alarm)})


def state_of(alarm: Alarm) -> str:
    """`open`, `acknowledged by ci`, `snoozed until ...` or `closed at ...`."""
    if alarm.closed_at is not None:
        return f"closed at {alarm.closed_at}"
    if alarm.snoozed_until is not None:
        return f"snoozed until {alarm.snoozed_until}"
    if alarm.acknowledged_by is not None:
        return f"acknowledged by {alarm.acknowledged_by}"
    return "open"


@verb(app, "show", "holdfast alarm show 65a1f0c2b3d4e5f6a7b8c9d0")
def show(session: Session, alarm_id: Id) -> None:
    """Show one alarm, and what to do about it."""
    with session.client() as client:
        alarm = client.alarms.get(alarm_id)
    session.printer.record(alarm.document())
    if alarm.closed_at is None:
        note(f"what to do: {alarm.remedy}")


@verb(app, "acknowledge", "holdfast alarm acknowledge 65a1f0c2b3d4e5f6a7b8c9d0")
def acknowledge(session: Session, alarm_id: Id) -> None:
    """Say that you take care of it."""
    with session.client() as client:
        client.alarms.acknowledge(alarm_id)
    session.printer.done(f"acknowledged alarm {alarm_id}")


@verb(app, "snooze", "holdfast alarm snooze 65a1f0c2b3d4e5f6a7b8c9d0 --minutes 480")
def snooze(
    session: Session,
    alarm_id: Id,
    minutes: Annotated[
        int, typer.Option("--minutes", "-m", min=1, help="It is sent again after so many.")
    ],
) -> None:
    """Be reminded later, if it is still open then."""
    with session.client() as client:
        alarm = client.alarms.snooze(alarm_id, minutes)
    session.printer.done(f"snoozed alarm {alarm_id} until {alarm.snoozed_until}")


@verb(app, "close", "holdfast alarm close 65a1f0c2b3d4e5f6a7b8c9d0 --force")
def close(session: Session, alarm_id: Id, force: Force = False) -> None:
    """End an alarm by hand; it opens anew if its cause is still there."""
    prompts.confirm(f"Close the alarm {alarm_id}?", force=force)
    with session.client() as client:
        client.alarms.close(alarm_id)
    session.printer.done(f"closed alarm {alarm_id}")
