"""`holdfast context`: chooses the server for commands, and their default project and addon."""

from dataclasses import dataclass, replace
from typing import Annotated

import typer

from holdfast.cli.session import contexts
from holdfast.cli.session.session import Files
from holdfast.cli.session.verbs import noun, verb

app = noun("Servers you are logged in to.")


@dataclass(frozen=True)
class Defaults:
    project: Annotated[str | None, typer.Option("--project", "-p", help="Default project.")] = None
    addon: Annotated[str | None, typer.Option("--addon", "-a", help="Default addon.")] = None


@verb(app, "list", "holdfast context list")
def show(files: Files) -> None:
    """List the contexts; tokens stay in their file."""
    book = files.book()
    rows = [
        {**context.document(), "token": None, "name": name, "current": name == book.current}
        for name, context in book.contexts.items()
    ]
    for row in rows:
        del row["token"]
    columns = {"NAME": "name", "CURRENT": "current", "HOST": "host", "PROJECT": "project"}
    files.printer.rows(rows, {**columns, "ADDON": "addon"})


@verb(
    app,
    "use",
    "holdfast context use backup.example.com",
    "holdfast context use --project shop --addon orders",
)
def use(
    files: Files,
    defaults: Defaults,
    name: Annotated[str | None, typer.Argument(help="Context; default: the current.")] = None,
) -> None:
    """Make a context the current one, and set the project and addon commands mean by default."""
    book = files.book()
    chosen = name or book.current
    if chosen is None:
        raise typer.BadParameter("there is no current context: name one")
    old = files.saved(chosen)
    project = defaults.project or old.project
    addon = defaults.addon or (old.addon if project == old.project else None)
    updated = book.with_context(chosen, replace(old, project=project, addon=addon))
    contexts.save(files.path, updated)
    files.printer.done(
        f"using {chosen}, project {project or 'not set'}, addon {addon or 'not set'}"
    )


@verb(app, "remove", "holdfast context remove backup.example.com")
def remove(files: Files, name: Annotated[str, typer.Argument(help="Context.")]) -> None:
    """Forget a context and its token."""
    files.saved(name)
    contexts.save(files.path, files.book().without(name))
    files.printer.done(f"forgot {name}")
