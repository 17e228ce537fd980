"""`holdfast login|logout`: checks a token with the server and saves it, or forgets it."""

import sys
import webbrowser
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated

import typer

from holdfast.cli.session import contexts
from holdfast.cli.session.contexts import Context
from holdfast.cli.session.session import Files
from holdfast.cli.session.verbs import verb
from holdfast.cli.terminal import prompts
from holdfast.cli.terminal.output import note
from holdfast.client import Client
from holdfast.client.transport.browser_login import NoBrowserLogin, browser_login
from holdfast.client.transport.transport import normalise_host
from holdfast.kit.seal import Secret

_ENDING_CHARACTERS = 9


@dataclass(frozen=True)
class Account:
    host: Annotated[
        str,
        typer.Option("--host", envvar="HOLDFAST_HOST", help="Such as https://backup.example.com."),
    ]
    token: Annotated[
        Secret | None,
        typer.Option(
            "--token",
            envvar="HOLDFAST_TOKEN",
            parser=Secret,
            metavar="TOKEN",
            help="API token; without it the browser is asked.",
        ),
    ] = None
    token_file: Annotated[
        str | None,
        typer.Option("--token-file", help="Read the token from FILE (`-`: standard input)."),
    ] = None
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="Name of the context; default: the host.")
    ] = None

    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the link, or only show it.")
    ] = True

    def secret(self) -> Secret:
        if self.token is not None and self.token_file is None:
            return self.token
        if self.token_file is None and sys.stdin.isatty():
            with suppress(NoBrowserLogin):
                return browser_login(normalise_host(self.host), self._show)
        return prompts.secret(self.token_file, "Token", "--token-file")

    def _show(self, link: str) -> None:
        """Shows the link, whose end people compare with the page's."""
        note(f"open {link}")
        note(f"the page must show {link[-_ENDING_CHARACTERS:]}; waiting for your answer there")
        if self.browser:
            webbrowser.open(link)


def login(account: Account, files: Files) -> None:
    """Check a token with a server, remember both, and make them the current context.

    Without a token, your browser opens: sign in there, and give this command line one.
    """
    host, secret = normalise_host(account.host), account.secret()
    with Client(host, secret) as client:
        client.login()
    book = files.book()
    name = account.name or host.partition("://")[2]
    old = book.contexts.get(name)
    defaults = (old.project, old.addon) if old and old.host == host else (None, None)
    contexts.save(files.path, book.with_context(name, Context(host, secret, *defaults)))
    files.printer.done(f"logged in to {host}, context {name}")


def logout(files: Files) -> None:
    """Forget the current context. The token stays valid: `holdfast token revoke` ends it."""
    book = files.book()
    if book.current is None:
        raise typer.BadParameter("there is no current context")
    contexts.save(files.path, book.without(book.current))
    files.printer.done(f"forgot {book.current}")


def register(app: typer.Typer) -> None:
    verb(
        app,
        "login",
        "holdfast login --host https://backup.example.com",
        "holdfast login --host http://127.0.0.1:8080 --token-file owner.token",
    )(login)
    verb(app, "logout", "holdfast logout")(logout)
