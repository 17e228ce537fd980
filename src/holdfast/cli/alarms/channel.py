"""`holdfast channel`: where alarms are sent."""

from dataclasses import dataclass
from itertools import islice
from typing import Annotated, cast

import typer

from holdfast.cli.session.options import Force, Limit
from holdfast.cli.session.session import Session
from holdfast.cli.session.verbs import noun, verb
from holdfast.cli.terminal import prompts
from holdfast.cli.terminal.output import note
from holdfast.client.alarms import Channel

app = noun("Channels: where alarms are sent. docs/alarms.md has the settings of each kind.")

Id = Annotated[str, typer.Argument(metavar="CHANNEL", help="Channel id.")]

_COLUMNS = {
    "ID": "id",
    "KIND": "kind",
    "RECEIVER": "receiver",
    "SEVERITY": "severity",
    "PROJECTS": "projects",
    "DIGEST": "digest",
    "STATE": "state",
    "DELIVERED": "deliveredAt",
}


@dataclass(frozen=True)
class Fields:
    kind: Annotated[
        str | None, typer.Option("--kind", "-k", help="email, webhook, slack, ntfy, apprise, ...")
    ] = None
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of the kind, as name=value; repeat for more."),
    ] = None
    secret: Annotated[
        str | None,
        typer.Option(
            "--secret", help="Name of a setting that is secret: it is asked for, not given here."
        ),
    ] = None
    secret_file: Annotated[
        str | None,
        typer.Option("--secret-file", help="Read it from FILE instead (`-`: standard input)."),
    ] = None
    severity: Annotated[
        str | None, typer.Option("--severity", help="Only alarms so bad or worse.")
    ] = None
    project: Annotated[
        list[str] | None,
        typer.Option("--project", "-p", help="Only about its addons; repeat for more."),
    ] = None
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Only this kind of alarm, such as store.unusable; repeat."),
    ] = None
    digest: Annotated[str | None, typer.Option("--digest", help="daily or weekly.")] = None
    file: prompts.BodyFile = None

    def body(self, name: str | None) -> dict[str, object]:
        fields = {
            "name": name,
            "kind": self.kind,
            "severity": self.severity,
            "projects": self.project or None,
            "kinds": self.only or None,
            "digest": self.digest,
        }
        body = prompts.body(self.file, fields)
        settings = dict(cast("dict[str, object]", body.get("settings") or {}))
        for text in self.settings or ():
            name, equals, value = text.partition("=")
            if not equals:
                raise typer.BadParameter(f"--set {text} is not name=value")
            settings[name] = value.split(",") if name == "recipients" else value
        if self.secret is not None:
            secret = prompts.secret(self.secret_file, self.secret, "--secret-file")
            settings[self.secret] = secret.reveal()
        return {**body, "settings": settings}


@verb(app, "list", "holdfast channel list")
def show_all(session: Session, limit: Limit = None) -> None:
    """List the channels, and whether they deliver."""
    with session.client() as client:
        channels = list(islice(client.channels.list(), limit))
    session.printer.rows(channels, _COLUMNS, lambda channel: {"state": state_of(channel)})


def state_of(channel: Channel) -> str:
    """`delivers`, `unused`, or that it fails and why."""
    if channel.failures:
        return f"{'failing' if channel.failing else 'failed'}: {channel.problem}"
    return "unused" if channel.delivered_at is None else "delivers"


@verb(
    app,
    "add",
    "holdfast channel add ops --kind slack --secret url",
    "holdfast channel add mail --kind email --set host=mail.example.org --set user=holdfast"
    " --set sender=holdfast@example.org --set recipients=ops@example.org --secret password",
    "holdfast channel add pager --kind pagerduty --secret key --severity critical",
)
def add(
    session: Session,
    fields: Fields,
    name: Annotated[str | None, typer.Argument(help="Name, unless --file has it.")] = None,
) -> None:
    """Add a channel; `channel test` tries it."""
    with session.client() as client:
        channel = client.channels.add(fields.body(name))
    session.printer.record(channel.document())
    if channel.key is not None:
        note("keep the key now: receivers verify signatures with it, and it is not shown again")


@verb(app, "test", "holdfast channel test ops")
def test(session: Session, channel_id: Id) -> None:
    """Send a test message now, and show what the other side answered. Exit status 1: it failed."""
    with session.client() as client:
        delivery = client.channels.test(channel_id)
    attempt = delivery.attempts[-1]
    if not attempt.ok:
        note(f"error: it was not delivered: {attempt.answer}")
        raise typer.Exit(1)
    session.printer.done(f"delivered in {attempt.milliseconds} ms: {attempt.answer}")


@verb(app, "remove", "holdfast channel remove ops --force")
def remove(session: Session, channel_id: Id, force: Force = False) -> None:
    """Remove a channel; what waits for it is given up."""
    prompts.confirm(f"Remove the channel {channel_id}?", force=force)
    with session.client() as client:
        client.channels.delete(channel_id)
    session.printer.done(f"removed channel {channel_id}")
