"""`holdfast token`: creates, lists and revokes API tokens."""

from dataclasses import dataclass
from itertools import islice
from typing import Annotated

import typer

from holdfast.cli.session.options import Force, Limit
from holdfast.cli.session.session import Session
from holdfast.cli.session.verbs import noun, verb
from holdfast.cli.terminal import prompts
from holdfast.cli.terminal.output import note

app = noun("API tokens.")


@dataclass(frozen=True)
class Fields:
    role: Annotated[str | None, typer.Option("--role", "-r", help="See `role list`.")] = None
    project: Annotated[
        list[str] | None,
        typer.Option("--project", "-p", help="Only this project; repeat for more."),
    ] = None
    expires: Annotated[
        int | None, typer.Option("--expires-in-days", min=1, help="Default: never.")
    ] = None
    file: prompts.BodyFile = None

    def body(self, name: str | None) -> dict[str, object]:
        fields = {
            "name": name,
            "role": self.role,
            "projects": self.project or None,
            "expiresInDays": self.expires,
        }
        return prompts.body(self.file, fields)


@verb(app, "list", "holdfast token list")
def show(session: Session, limit: Limit = None) -> None:
    """List the tokens; never their secret part."""
    with session.client() as client:
        tokens = list(islice(client.tokens.list(), limit))
    columns = {"ID": "id", "NAME": "name", "ROLE": "role", "PROJECTS": "projects"}
    more = {"EXPIRES": "expiresAt", "LAST USED": "lastUsedAt", "REVOKED": "revokedAt"}
    session.printer.rows(tokens, {**columns, **more})


@verb(app, "create", "holdfast token create ci --role default --project shop --expires-in-days 90")
def create(
    session: Session,
    fields: Fields,
    name: Annotated[str | None, typer.Argument(help="Name, unless --file has it.")] = None,
) -> None:
    """Create a token and show it, this once."""
    with session.client() as client:
        token = client.tokens.create(fields.body(name))
    session.printer.record(token.document(reveal=True))
    note("keep the token now: it is not shown again")


@verb(app, "revoke", "holdfast token revoke 65a1f0c2b3d4e5f6a7b8c9d0 --force")
def revoke(
    session: Session,
    token_id: Annotated[str, typer.Argument(metavar="TOKEN_ID", help="Id, not the token.")],
    force: Force = False,
) -> None:
    """End a token at once."""
    prompts.confirm(f"Revoke the token {token_id}?", force=force)
    with session.client() as client:
        client.tokens.revoke(token_id)
    session.printer.done(f"revoked token {token_id}")
