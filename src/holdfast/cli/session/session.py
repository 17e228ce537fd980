"""The options of every command: server, token, output."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.session import contexts
from holdfast.cli.session.contexts import Book, Context
from holdfast.cli.terminal.output import Format, Printer
from holdfast.cli.terminal.problems import NotLoggedIn
from holdfast.client import Client
from holdfast.client.transport.transport import normalise_host
from holdfast.kit.seal import Secret

PANEL = "Server and output"


@dataclass(frozen=True)
class Files:
    """The file of contexts and the output format, for commands that need no server."""

    config: Annotated[
        Path | None,
        typer.Option(
            "--config", envvar="HOLDFAST_CONFIG", help="File of contexts.", rich_help_panel=PANEL
        ),
    ] = None
    form: Annotated[
        Format, typer.Option("-o", "--format", help="How to print.", rich_help_panel=PANEL)
    ] = Format.TABLE

    @property
    def path(self) -> Path:
        return self.config or contexts.default_path()

    @property
    def printer(self) -> Printer:
        return Printer(self.form)

    def book(self) -> Book:
        return contexts.load(self.path)

    def saved(self, name: str) -> Context:
        context = self.book().contexts.get(name)
        if context is None:
            raise typer.BadParameter(f"there is no context {name!r}")
        return context


@dataclass(frozen=True)
class Session(Files):
    """The server of a command. A context named on the command line beats the environment."""

    context: Annotated[
        str | None,
        typer.Option(
            "--context", help="Context to use instead of the current.", rich_help_panel=PANEL
        ),
    ] = None
    host: Annotated[
        str | None,
        typer.Option(
            "--host", envvar="HOLDFAST_HOST", help="Address of the server.", rich_help_panel=PANEL
        ),
    ] = None
    token: Annotated[
        Secret | None,
        typer.Option(
            "--token",
            envvar="HOLDFAST_TOKEN",
            parser=Secret,
            metavar="TOKEN",
            help="API token; the variable keeps it out of the process list.",
            rich_help_panel=PANEL,
        ),
    ] = None

    def effective(self) -> Context:
        """Returns the server, token and defaults; a saved token goes to its own server only."""
        book = self.book()
        if self.context is not None:
            return self.saved(self.context)
        saved = book.contexts.get(book.current or "")
        if self.host is None:
            if saved is None:
                raise NotLoggedIn
            return replace(saved, token=self.token) if self.token else saved
        host = normalise_host(self.host)
        if saved is not None and saved.host == host:
            return replace(saved, token=self.token or saved.token)
        return Context(host, self.token)

    def client(self) -> Client:
        context = self.effective()
        return Client(context.host, context.token)
