"""`holdfast addon credentials|version|containers|logs`: shows the inside of an addon."""

from typing import Annotated

import typer

from holdfast.cli.addon.power import OneAddon
from holdfast.cli.session.log_lines import show_lines
from holdfast.cli.session.options import Lines
from holdfast.cli.session.session import Session
from holdfast.cli.session.verbs import verb


def credentials(session: Session, one: OneAddon) -> None:
    """Show how to connect to an addon, passwords included."""
    with session.client() as client:
        shown = client.addons.credentials(*one.of(session))
    session.printer.record(shown.document(reveal=True))


def version(
    session: Session,
    one: OneAddon,
    upgrade_to: Annotated[
        str | None, typer.Option("--upgrade-to", help="Change to this version.")
    ] = None,
) -> None:
    """Show an addon's version and what it can be upgraded to, or upgrade it."""
    which = one.of(session)
    with session.client() as client:
        if upgrade_to is not None:
            client.addons.upgrade(*which, upgrade_to)
        session.printer.record(client.addons.version(*which))


def containers(session: Session, one: OneAddon) -> None:
    """List the running servers of an addon."""
    with session.client() as client:
        containers = list(client.addons.containers(*one.of(session)))
    session.printer.rows(containers, {"NAME": "name", "STATUS": "status"})


def logs(session: Session, one: OneAddon, lines: Lines) -> None:
    """Show the log of an addon's server."""
    which, query = one.of(session), lines.query()
    with session.client() as client:
        source = client.addons.tail if lines.follow else client.addons.logs
        show_lines(session, source(*which, query))


def register(app: typer.Typer) -> None:
    verb(app, "credentials", "holdfast addon credentials orders -p shop -o json")(credentials)
    verb(app, "version", "holdfast addon version orders --project shop")(version)
    verb(app, "containers", "holdfast addon containers orders --project shop")(containers)
    verb(app, "logs", "holdfast addon logs orders --project shop --since 2h --follow")(logs)
