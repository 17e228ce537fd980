"""`holdfast role`: creates, lists, changes and deletes roles."""

from dataclasses import dataclass
from itertools import islice
from typing import Annotated

import typer

from holdfast.cli.session.options import Force, Limit
from holdfast.cli.session.session import Session
from holdfast.cli.session.verbs import noun, verb
from holdfast.cli.terminal import prompts

app = noun("Roles: what a token may do.")


@dataclass(frozen=True)
class Fields:
    permission: Annotated[
        list[str] | None,
        typer.Option("--permission", help="Such as `Project > Addons > General > Read`; repeat."),
    ] = None
    file: prompts.BodyFile = None

    def body(self, name: str | None) -> dict[str, object]:
        fields = {"name": name, "permissions": self.permission or None}
        return prompts.body(self.file, fields)


@verb(app, "list", "holdfast role list")
def show(session: Session, limit: Limit = None) -> None:
    """List the roles and their permissions."""
    with session.client() as client:
        roles = list(islice(client.roles.list(), limit))
    columns = {"ID": "id", "NAME": "name", "BUILT IN": "builtIn", "PERMISSIONS": "permissions"}
    session.printer.rows(roles, columns)


@verb(app, "create", "holdfast role create reader --permission 'Project > Addons > General > Read'")
def create(
    session: Session,
    fields: Fields,
    name: Annotated[str | None, typer.Argument(help="Name, unless --file has it.")] = None,
) -> None:
    """Create a role."""
    with session.client() as client:
        session.printer.record(client.roles.create(fields.body(name)))


@verb(app, "update", "holdfast role update reader --permission 'Project > Addons > General > Read'")
def update(
    session: Session,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="Role id.")],
    fields: Fields,
    name: Annotated[str | None, typer.Option("--name", help="Its name; the id stays.")] = None,
) -> None:
    """Change a role for all who have it; permissions are replaced as a whole."""
    with session.client() as client:
        session.printer.record(client.roles.update(role, fields.body(name)))


@verb(app, "delete", "holdfast role delete reader --force")
def delete(
    session: Session,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="Role id.")],
    force: Force = False,
) -> None:
    """Delete a role; its tokens are revoked."""
    prompts.confirm(f"Delete the role {role} and revoke its tokens?", force=force)
    with session.client() as client:
        client.roles.delete(role)
    session.printer.done(f"deleted role {role}")
