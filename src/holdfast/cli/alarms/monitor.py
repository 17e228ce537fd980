"""`holdfast monitor`: pings that are expected from elsewhere."""

import re
from itertools import islice
from typing import Annotated

import typer

from holdfast.cli.session.options import Force, Limit
from holdfast.cli.session.session import Session
from holdfast.cli.session.verbs import noun, verb
from holdfast.cli.terminal import prompts
from holdfast.cli.terminal.output import note
from holdfast.client.monitors import Monitor

app = noun(
    "Monitors: pings that are expected from elsewhere, and are an alarm when they stay away."
)

Id = Annotated[str, typer.Argument(metavar="MONITOR", help="Monitor id.")]

_COLUMNS = {
    "ID": "id",
    "STATE": "state",
    "EVERY": "every",
    "GRACE": "grace",
    "PINGED": "pingedAt",
    "PROBLEM": "problem",
}
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def seconds_of(text: str) -> int:
    """`90s`, `5m`, `1h` or `7d` in seconds; a number alone is seconds."""
    match = re.fullmatch(r"([1-9][0-9]{0,8})([smhd]?)", text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} is no time such as 90s, 5m, 1h or 7d")
    return int(match[1]) * _UNITS[match[2] or "s"]


def time_of(seconds: int) -> str:
    """The shortest way to write it: `300` is `5m`."""
    unit = next(unit for unit in "dhms" if seconds % _UNITS[unit] == 0)
    return f"{seconds // _UNITS[unit]}{unit}"


Name = Annotated[str | None, typer.Option("--name", help="Its name; the id stays.")]
Every = Annotated[
    str | None, typer.Option("--every", "-e", help="How often a ping is expected: 1m, 1h, 1d, ...")
]
Grace = Annotated[
    str | None,
    typer.Option("--grace", "-g", help="How late it may be, and how long a run may take; 5m."),
]


def _fields(name: str | None, every: str | None, grace: str | None) -> dict[str, object]:
    fields: dict[str, object] = {} if name is None else {"name": name}
    if every is not None:
        fields["everySeconds"] = seconds_of(every)
    if grace is not None:
        fields["graceSeconds"] = seconds_of(grace)
    return fields


def _shown(monitor: Monitor) -> dict[str, str]:
    return {"every": time_of(monitor.every_seconds), "grace": time_of(monitor.grace_seconds)}


@verb(app, "list", "holdfast monitor list")
def show_all(session: Session, limit: Limit = None) -> None:
    """List the monitors, and whether their pings come."""
    with session.client() as client:
        monitors = list(islice(client.monitors.list(), limit))
    session.printer.rows(monitors, _COLUMNS, _shown)


@verb(app, "get", "holdfast monitor get berlin")
def show(session: Session, monitor_id: Id) -> None:
    """Show one monitor, its last ping and what it said."""
    with session.client() as client:
        monitor = client.monitors.get(monitor_id)
    session.printer.record(monitor.document())


@verb(
    app,
    "add",
    "holdfast monitor add berlin --every 1m --grace 5m",
    "holdfast monitor add nightly-sync --every 1d --grace 4h",
)
def add(
    session: Session,
    name: Annotated[str, typer.Argument(help="What pings.")],
    every: Annotated[
        str, typer.Option("--every", "-e", help="How often a ping is expected: 1m, 1h, 1d, ...")
    ],
    grace: Grace = None,
) -> None:
    """Add a monitor; the answer has the URL to ping."""
    with session.client() as client:
        monitor = client.monitors.add(_fields(name, every, grace))
    session.printer.record(monitor.document())
    _say_key_is_secret()


@verb(app, "change", "holdfast monitor change berlin --every 5m")
def change(
    session: Session, monitor_id: Id, name: Name = None, every: Every = None, grace: Grace = None
) -> None:
    """Change its name, its period or its grace; another period is waited for anew."""
    fields = _fields(name, every, grace)
    if not fields:
        raise typer.BadParameter("give --name, --every or --grace")
    with session.client() as client:
        session.printer.record(client.monitors.patch(monitor_id, fields).document())


@verb(app, "renew", "holdfast monitor renew berlin --force")
def renew(session: Session, monitor_id: Id, force: Force = False) -> None:
    """Make another URL to ping; the old one means nothing any more."""
    prompts.confirm(f"Replace the URL of the monitor {monitor_id}?", force=force)
    with session.client() as client:
        monitor = client.monitors.renew(monitor_id)
    session.printer.record(monitor.document())
    _say_key_is_secret()


@verb(app, "remove", "holdfast monitor remove berlin --force")
def remove(session: Session, monitor_id: Id, force: Force = False) -> None:
    """Remove a monitor; its alarm is closed."""
    prompts.confirm(f"Remove the monitor {monitor_id}?", force=force)
    with session.client() as client:
        client.monitors.delete(monitor_id)
    session.printer.done(f"removed monitor {monitor_id}")


def _say_key_is_secret() -> None:
    note("keep the URL now: it is a secret, and it is not shown again")
