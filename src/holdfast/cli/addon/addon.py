"""`holdfast addon`: creates, attaches, lists and changes databases; see also `power.py`."""

from dataclasses import dataclass
from itertools import islice
from typing import Annotated

import typer

from holdfast.cli.addon import inside, pitr, power
from holdfast.cli.addon.power import OneAddon, settle
from holdfast.cli.session.options import Force, InProject, Limit, Waiting
from holdfast.cli.session.session import Session
from holdfast.cli.session.verbs import noun, verb
from holdfast.cli.terminal import prompts

app = noun("Addons: the databases to back up.")
power.register(app)
inside.register(app)
app.add_typer(pitr.app, name="pitr")

Name = Annotated[str | None, typer.Argument(help="Name, unless --file has it.")]
Type = Annotated[str | None, typer.Option("--type", "-t", help="See `holdfast addon types`.")]
Description = Annotated[str | None, typer.Option("--description")]

StringFile = Annotated[
    str | None,
    typer.Option(
        "--connection-string-file", help="Connection string from FILE (`-`: standard input)."
    ),
]


@dataclass(frozen=True)
class Managed:
    """A server that Holdfast runs. The three sizes are the `billing` of the API."""

    type: Type = None
    version: Annotated[str, typer.Option("--version", help="`latest`, `17-latest` or exact.")] = (
        "latest"
    )
    plan: Annotated[str, typer.Option("--plan", help="Deployment plan.")] = "nf-compute-10"
    storage: Annotated[int, typer.Option("--storage", min=1, help="Megabytes.")] = 4096
    replicas: Annotated[int, typer.Option("--replicas", min=1)] = 1
    fork: Annotated[
        str | None,
        typer.Option("--fork", help="Begin with a backup: [PROJECT/]ADDON/BACKUP or a uid."),
    ] = None
    file: prompts.BodyFile = None

    def body(self, name: str | None) -> dict[str, object]:
        source: dict[str, object] | None = None
        if self.fork is not None:
            match self.fork.split("/"):
                case [uid]:
                    source = {"backupUid": uid}
                case [addon, backup]:
                    source = {"addonId": addon, "backupId": backup}
                case [project, addon, backup]:
                    source = {"projectId": project, "addonId": addon, "backupId": backup}
                case _:
                    raise typer.BadParameter("--fork is [PROJECT/]ADDON/BACKUP or a backup's uid")
        fields = prompts.body(self.file, {"name": name, "type": self.type, "source": source})
        billing = {
            "deploymentPlan": self.plan,
            "storage": self.storage,
            "replicas": self.replicas,
        }
        return {"version": self.version, "billing": billing, **fields}


@dataclass(frozen=True)
class Attached:
    """A server of the user's own; without a file its connection string is asked for."""

    type: Type = None
    connection_string_file: StringFile = None
    description: Description = None
    file: prompts.BodyFile = None

    def body(self, name: str | None) -> dict[str, object]:
        options = {"name": name, "type": self.type, "description": self.description}
        fields = prompts.body(self.file, options)
        if "connectionString" in fields and self.connection_string_file is None:
            return fields
        secret = prompts.secret(
            self.connection_string_file, "Connection string", "--connection-string-file"
        )
        return {**fields, "connectionString": secret.reveal()}


@verb(app, "types", "holdfast addon types")
def types(session: Session) -> None:
    """List the kinds of database and what each can do on the server's machine."""
    with session.client() as client:
        kinds = list(client.addons.types())
    columns = {"TYPE": "type", "NAME": "name", "DUMPS": "features.backupsDump"}
    session.printer.rows(kinds, {**columns, "VERSIONS": "major"})


@verb(app, "list", "holdfast addon list --project shop")
def show(session: Session, scope: InProject, limit: Limit = None) -> None:
    """List the addons of a project."""
    with session.client() as client:
        addons = list(islice(client.addons.list(scope.of(session)), limit))
    columns = {"ID": "id", "NAME": "name", "TYPE": "spec.type", "STATUS": "status"}
    session.printer.rows(addons, {**columns, "MANAGED": "managed"})


@verb(
    app,
    "create",
    "holdfast addon create orders --project shop --type postgresql --wait",
    "holdfast addon create rehearsal -p shop -t postgresql --fork orders/latest --wait",
)
def create(
    session: Session, scope: InProject, managed: Managed, waiting: Waiting, name: Name = None
) -> None:
    """Create an addon that Holdfast runs itself."""
    project = scope.of(session)
    with session.client() as client:
        addon = client.addons.create(project, managed.body(name))
        settle(session, client, (project, addon.id), waiting, addon=addon)


@verb(
    app,
    "attach",
    "holdfast addon attach orders --project shop --type postgresql",
    "holdfast addon attach orders -p shop -t postgresql --connection-string-file url.txt",
)
def attach(
    session: Session, scope: InProject, attached: Attached, waiting: Waiting, name: Name = None
) -> None:
    """Attach a database server of your own; it is probed at once and never deleted."""
    project = scope.of(session)
    with session.client() as client:
        addon = client.addons.create(project, attached.body(name))
        settle(session, client, (project, addon.id), waiting, addon=addon)


@verb(app, "get", "holdfast addon get orders --project shop")
def get(session: Session, one: OneAddon) -> None:
    """Show an addon."""
    with session.client() as client:
        session.printer.record(client.addons.get(*one.of(session)))


@verb(
    app,
    "update",
    "holdfast addon update orders --project shop --description 'All orders'",
    "holdfast addon update orders --project shop --connection-string-file url.txt",
)
def update(
    session: Session,
    one: OneAddon,
    description: Description = None,
    connection_string_file: StringFile = None,
    file: prompts.BodyFile = None,
) -> None:
    """Change an addon; an attached one can be told its new address or password."""
    body = prompts.body(file, {"description": description})
    if connection_string_file is not None:
        connection_string = prompts.secret(
            connection_string_file, "Connection string", "--connection-string-file"
        )
        body["connectionString"] = connection_string.reveal()
    with session.client() as client:
        session.printer.record(client.addons.update(*one.of(session), body))


@verb(app, "delete", "holdfast addon delete orders --project shop --force")
def delete(session: Session, one: OneAddon, force: Force = False) -> None:
    """Delete an addon. A server of your own is only detached, its data stays."""
    project, addon = one.named(session)
    prompts.confirm(f"Delete the addon {addon} of {project}?", force=force)
    with session.client() as client:
        client.addons.delete(project, addon)
    session.printer.done(f"deleted addon {addon}")
