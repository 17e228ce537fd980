"""`holdfast about|health|version`: shows the server, its health, and this program's version."""

from importlib import metadata

import typer

from holdfast.cli.session.session import Files, Session
from holdfast.cli.session.verbs import verb


def about(session: Session) -> None:
    """Show what the server says about itself."""
    with session.client() as client:
        session.printer.record(client.about())


def health(session: Session) -> None:
    """Tell whether the server lives and can work (exit status 10 when it cannot)."""
    with session.client() as client:
        facts = {**client.live().document(), **client.ready().document()}
    session.printer.record({**facts, "live": True, "ready": True})


def version(files: Files) -> None:
    """Show the version of this program."""
    files.printer.record({"version": metadata.version("holdfast")})


def register(app: typer.Typer) -> None:
    verb(app, "about", "holdfast about")(about)
    verb(app, "health", "holdfast health --host http://127.0.0.1:8080")(health)
    verb(app, "version", "holdfast version -o json")(version)
