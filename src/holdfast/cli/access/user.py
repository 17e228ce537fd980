"""`holdfast user`: people who sign in to the dashboard.

With `--data-dir`, `create` and `reset-password` work on the catalogue itself, without a token and
a running server: that is the operator's way back in.
"""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.machine.local import local
from holdfast.cli.session.options import Force, Limit
from holdfast.cli.session.session import Session
from holdfast.cli.session.verbs import noun, verb
from holdfast.cli.terminal import prompts
from holdfast.cli.terminal.output import note
from holdfast.kit.seal import Secret

app = noun("People who sign in to the dashboard.")

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Work on this machine's catalogue, without a server."),
]
User = Annotated[str, typer.Argument(metavar="USER", help="Name or id.")]
PasswordFile = Annotated[
    str | None,
    typer.Option(
        "--password-file", help="Read the password from FILE (`-`: standard input); else a link."
    ),
]


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

    def body(self, **more: object) -> dict[str, object]:
        fields = {
            "role": self.role,
            "projects": self.project or None,
            "expiresInDays": self.expires,
            **more,
        }
        return prompts.body(self.file, fields)


@verb(app, "list", "holdfast user list")
def show(session: Session, limit: Limit = None) -> None:
    """List the users."""
    with session.client() as client:
        users = list(islice(client.users.list(), limit))
    columns = {"ID": "id", "NAME": "name", "ROLE": "role", "PROJECTS": "projects"}
    more = {"SIGNS IN WITH": "signsInWith", "LAST SEEN": "lastSeenAt", "DISABLED": "disabledAt"}
    session.printer.rows(users, {**columns, **more})


@verb(
    app,
    "create",
    "holdfast user create mara --role admin",
    "holdfast user create mara --role owner --data-dir /var/lib/holdfast",
)
def create(
    session: Session,
    fields: Fields,
    name: Annotated[str | None, typer.Argument(help="Name, unless --file has it.")] = None,
    password_file: PasswordFile = None,
    data_dir: DataDir = None,
) -> None:
    """Create a user, and show a link to choose a password, this once."""
    password = _password(password_file)
    body = fields.body(name=name, password=password.reveal() if password else None)
    if data_dir is not None:
        session.printer.record(local("create_user")(data_dir, body))
    else:
        with session.client() as client:
            session.printer.record(client.users.create(body).document(reveal=True))
    if password is None:
        note("send the link to the user: who opens it first chooses the password")


@verb(app, "update", "holdfast user update mara --role default --project shop")
def update(
    session: Session,
    user: User,
    fields: Fields,
    all_projects: Annotated[
        bool, typer.Option("--all-projects", help="End the restriction to some projects.")
    ] = False,
    disable: Annotated[
        bool | None, typer.Option("--disable/--enable", help="Whether the user may sign in.")
    ] = None,
) -> None:
    """Change a user's role, projects or end; what is not named stays as it is."""
    body = fields.body(disabled=disable)
    if all_projects:
        body["projects"] = []
    with session.client() as client:
        session.printer.record(client.users.update(_id_of(session, user), body))


@verb(app, "delete", "holdfast user delete mara --force")
def delete(session: Session, user: User, force: Force = False) -> None:
    """Delete a user, with their sessions and the tokens that were given to them."""
    prompts.confirm(f"Delete the user {user}?", force=force)
    with session.client() as client:
        client.users.delete(_id_of(session, user))
    session.printer.done(f"deleted user {user}")


@verb(
    app,
    "reset-password",
    "holdfast user reset-password mara",
    "holdfast user reset-password mara --data-dir /var/lib/holdfast --second-factors",
)
def reset_password(
    session: Session,
    user: User,
    password_file: PasswordFile = None,
    second_factors: Annotated[
        bool,
        typer.Option("--second-factors", help="Forget authenticator, passkeys and codes, too."),
    ] = False,
    data_dir: DataDir = None,
    force: Force = False,
) -> None:
    """End a user's password and sessions, and show a link to choose another password.

    With --data-dir it works without a server, and may set the password itself.
    """
    prompts.confirm(f"End the password and the sessions of {user}?", force=force)
    password = _password(password_file)
    if data_dir is not None:
        record = local("reset_user")(data_dir, user, password, second_factors)
        session.printer.record(record)
        return
    if password is not None:
        raise typer.BadParameter("--password-file needs --data-dir: users choose their passwords")
    with session.client() as client:
        reset = client.users.reset_password(_id_of(session, user), second_factors=second_factors)
    session.printer.record(reset.document(reveal=True))


def _password(file: str | None) -> Secret | None:
    return prompts.secret(file, "Password", "--password-file") if file is not None else None


def _id_of(session: Session, name: str) -> str:
    """The id of a user who is named by it, or by their name."""
    with session.client() as client:
        for user in client.users.list():
            if name in (user.id, user.name) or user.name.casefold() == name.casefold():
                return user.id
    return name
