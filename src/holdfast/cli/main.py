"""`holdfast`: the program, its nouns, and the exit status of every failure."""

import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Annotated

import typer

from holdfast.cli import (
    audit,
    destination,
    project,
    restore,
    retention,
    role,
    schedule,
    token,
)
from holdfast.cli.access import user, web_session
from holdfast.cli.addon import addon, pitr
from holdfast.cli.alarms import alarm, channel, delivery, monitor
from holdfast.cli.backup import backup
from holdfast.cli.machine import doctor, server
from holdfast.cli.proof import drill, proof, protection
from holdfast.cli.session import context, login, server_info
from holdfast.cli.terminal.output import note
from holdfast.cli.terminal.problems import MEANING, UNEXPECTED, sentence, status_of
from holdfast.domain.errors import Failure

_EPILOG = "\n\n".join(
    [
        "Exit statuses:",
        *(f"  {status}  {meaning}" for status, meaning in MEANING.items()),
        "Completion: `holdfast --install-completion` sets it up for your shell.",
        "Example: holdfast backup create --project p --addon a --type dump --wait",
    ]
)

app = typer.Typer(
    name="holdfast",
    help="Database backups that prove they restore.",
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

for _nouns in (login, server_info, server, doctor, protection):
    _nouns.register(app)

app.add_typer(context.app, name="context")
app.add_typer(project.app, name="project")
app.add_typer(addon.app, name="addon")
app.add_typer(pitr.app, name="pitr")
app.add_typer(backup.app, name="backup")
app.add_typer(schedule.app, name="schedule")
app.add_typer(retention.app, name="retention")
app.add_typer(restore.app, name="restore")
app.add_typer(drill.app, name="drill")
app.add_typer(drill.assertions, name="assertion")
app.add_typer(destination.app, name="destination")
app.add_typer(token.app, name="token")
app.add_typer(role.app, name="role")
app.add_typer(user.app, name="user")
app.add_typer(web_session.app, name="session")
app.add_typer(audit.app, name="audit")
app.add_typer(protection.app, name="objective")
app.add_typer(alarm.app, name="alarm")
app.add_typer(channel.app, name="channel")
app.add_typer(delivery.app, name="delivery")
app.add_typer(monitor.app, name="monitor")
app.add_typer(proof.app, name="proof")


def show_version(asked_for: bool) -> None:
    if asked_for:
        print(f"holdfast {metadata.version('holdfast')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Database backups that prove they restore."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and exits; failures are sentences, never tracebacks."""
    try:
        app(args=arguments, prog_name="holdfast")
    except Failure as failure:
        note(f"error: {sentence(failure)}")
        sys.exit(status_of(failure))
    except Exception as error:  # noqa: BLE001 - the last line of defence says what it knows
        note(f"error: {type(error).__name__}: {error}")
        sys.exit(UNEXPECTED)
