"""`holdfast project`: creates, lists, changes and deletes projects."""

from dataclasses import dataclass
from itertools import islice
from typing import Annotated

import typer

from holdfast.cli.session.options import Force, Limit
from holdfast.cli.session.session import Session
from holdfast.cli.session.verbs import noun, verb
from holdfast.cli.terminal import prompts

app = noun("Projects: what addons live in.")

Id = Annotated[str, typer.Argument(metavar="PROJECT", help="Project id.")]


@dataclass(frozen=True)
class Fields:
    description: Annotated[str | None, typer.Option("--description")] = None
    color: Annotated[str | None, typer.Option("--color", help="#rgb or #rrggbb.")] = None
    file: prompts.BodyFile = None

    def body(self, **more: object) -> dict[str, object]:
        fields = {"description": self.description, "color": self.color, **more}
        return prompts.body(self.file, fields)


@verb(app, "list", "holdfast project list")
def show(session: Session, limit: Limit = None) -> None:
    """List the projects this token may see."""
    with session.client() as client:
        projects = list(islice(client.projects.list(), limit))
    session.printer.rows(projects, {"ID": "id", "NAME": "name", "DESCRIPTION": "description"})


@verb(app, "create", "holdfast project create shop --description 'The shop'")
def create(
    session: Session,
    fields: Fields,
    name: Annotated[str | None, typer.Argument(help="Name, unless --file has it.")] = None,
) -> None:
    """Create a project."""
    with session.client() as client:
        project = client.projects.create(fields.body(name=name))
    session.printer.record(project)


@verb(app, "get", "holdfast project get shop")
def get(session: Session, project: Id) -> None:
    """Show a project and its addons."""
    with session.client() as client:
        session.printer.record(client.projects.get(project))


@verb(app, "update", "holdfast project update shop --description 'The old shop'")
def update(
    session: Session,
    fields: Fields,
    project: Id,
    name: Annotated[str | None, typer.Option("--name", help="New name; the id stays.")] = None,
) -> None:
    """Change a project."""
    with session.client() as client:
        changed = client.projects.update(project, fields.body(name=name))
    session.printer.record(changed)


@verb(app, "delete", "holdfast project delete shop --with-contents --force")
def delete(
    session: Session,
    project: Id,
    force: Force = False,
    with_contents: Annotated[
        bool, typer.Option("--with-contents", help="Delete its addons and their backups too.")
    ] = False,
) -> None:
    """Delete a project."""
    extent = " and everything in it" if with_contents else ""
    prompts.confirm(f"Delete the project {project}{extent}?", force=force)
    with session.client() as client:
        client.projects.delete(project, with_contents=with_contents)
    session.printer.done(f"deleted project {project}{extent}")
