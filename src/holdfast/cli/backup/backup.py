"""`holdfast backup`: creates, lists, shows and deletes backups."""

from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Annotated

import typer

from holdfast.cli.backup import download, imports, materialise
from holdfast.cli.backup.conclusion import awaited, conclude
from holdfast.cli.session.log_lines import show_lines
from holdfast.cli.session.options import EvenLast, InAddon, Limit, Lines, Waiting, Yes
from holdfast.cli.session.session import Session
from holdfast.cli.session.verbs import noun, verb
from holdfast.cli.terminal import prompts
from holdfast.cli.terminal.problems import naming
from holdfast.client.models.models import Backup

app = noun("Backups of an addon.")
download.register(app)
imports.register(app)
materialise.register(app)

Id = download.Id


class Kind(StrEnum):
    DUMP = "dump"
    SNAPSHOT = "snapshot"


class Compression(StrEnum):
    GZ = "gz"
    ZSTD = "zstd"


OPTIONS = {
    "name": "--name",
    "backupType": "--type",
    "compressionType": "--compression",
    "customDestinationId": "--destination",
    "retentionTime": "--keep",
    "maxRate": "--max-rate",
    "drill": "--drill",
}
"""The option for each field of the API."""


@dataclass(frozen=True)
class Fields:
    name: Annotated[str | None, typer.Option("--name", help="Default: the time.")] = None
    type: Annotated[
        Kind | None, typer.Option("--type", "-t", help="Left out, the server decides: snapshot.")
    ] = None
    compression: Annotated[
        Compression | None, typer.Option("--compression", "-c", help="Of a dump; default gz.")
    ] = None
    destination: Annotated[
        str | None, typer.Option("--destination", "-d", help="Destination id, for a dump.")
    ] = None
    keep: Annotated[
        int | None, typer.Option("--keep", "-k", min=1, help="Days; default: until deleted.")
    ] = None
    max_rate: Annotated[
        int | None,
        typer.Option("--max-rate", help="KiB per second read of the server at most; snapshots."),
    ] = None
    drill: Annotated[
        bool, typer.Option("--drill", help="Drill it once, as soon as it is completed.")
    ] = False
    file: prompts.BodyFile = None

    def body(self) -> dict[str, object]:
        fields = {
            "drill": self.drill or None,
            "maxRate": self.max_rate,
            "retentionTime": self.keep,
            "name": self.name,
            "backupType": self.type,
            "compressionType": self.compression,
            "customDestinationId": self.destination,
        }
        return prompts.body(self.file, fields)


@verb(app, "list", "holdfast backup list --project shop --addon orders --limit 20")
def show(session: Session, scope: InAddon, limit: Limit = None) -> None:
    """List backups, newest first."""
    with session.client() as client:
        backups = list(islice(client.backups.list(*scope.of(session)), limit))
    columns = {"ID": "id", "STATUS": "status", "TYPE": "backupType", "SIZE": "config.size"}
    times = {"CREATED": "createdAt", "COMPLETED": "completedAt", "EXPIRES": "expires"}
    session.printer.rows(backups, {**columns, **times, "WARNINGS": "warnings"}, described)


def described(backup: Backup) -> dict[str, str]:
    """Words when it expires."""
    return {"expires": backup.expires_at or "never"}


@verb(
    app,
    "create",
    "holdfast backup create -p shop -a orders --type dump --compression zstd --wait",
)
def create(session: Session, scope: InAddon, fields: Fields, waiting: Waiting) -> None:
    """Back an addon up. With --wait the exit status tells whether the backup is good."""
    project, addon = scope.of(session)
    with session.client() as client, naming(**OPTIONS):
        made_backup = client.backups.create(project, addon, fields.body())
        if waiting.wait:
            made_backup = awaited(client, project, addon, made_backup.id, waiting)
    conclude(session, made_backup, waited=waiting.wait)


@verb(app, "wait", "holdfast backup wait 2026-01-20-11-19-53 -p shop -a orders --timeout 600")
def wait(
    session: Session,
    scope: InAddon,
    backup: Id,
    timeout: Annotated[float | None, typer.Option("--timeout", min=0)] = None,
) -> None:
    """Wait for a backup to end; the exit status tells whether it is good."""
    waiting = Waiting(wait=True, timeout=timeout)
    with session.client() as client:
        ended = awaited(client, *scope.of(session), backup, waiting)
    conclude(session, ended, waited=True)


@verb(app, "get", "holdfast backup get nightly --project shop --addon orders")
def get(session: Session, scope: InAddon, backup: Id) -> None:
    """Show a backup."""
    with session.client() as client:
        session.printer.record(client.backups.get(*scope.of(session), backup))


@verb(app, "delete", "holdfast backup delete nightly --project shop --addon orders --yes")
def delete(
    session: Session, scope: InAddon, backup: Id, yes: Yes = False, force: EvenLast = False
) -> None:
    """Delete a backup and what is stored of it. The last good one is refused without --force."""
    project, addon = scope.of(session)
    prompts.confirm(f"Delete the backup {backup} of {addon}?", force=yes or force, option="--yes")
    with session.client() as client, naming(force="--force"):
        client.backups.delete(project, addon, backup, force=force)
    session.printer.done(f"deleted backup {backup}")


@verb(app, "abort", "holdfast backup abort nightly --project shop --addon orders")
def abort(session: Session, scope: InAddon, backup: Id) -> None:
    """Stop a backup that is scheduled or in progress."""
    with session.client() as client:
        client.backups.abort(*scope.of(session), backup)
    session.printer.done(f"aborting backup {backup}")


@verb(app, "retain", "holdfast backup retain nightly --project shop --addon orders")
def retain(session: Session, scope: InAddon, backup: Id) -> None:
    """Keep a backup for ever, whatever its schedule says."""
    with session.client() as client:
        client.backups.retain(*scope.of(session), backup)
    session.printer.done(f"backup {backup} is kept until it is deleted")


@verb(app, "retry-copy", "holdfast backup retry-copy nightly off-site -p shop -a orders")
def retry_copy(
    session: Session,
    scope: InAddon,
    backup: Id,
    destination: Annotated[str, typer.Argument(metavar="DESTINATION", help="Where it failed.")],
) -> None:
    """Make an additional copy of a snapshot again that failed."""
    with session.client() as client:
        client.backups.retry_copy(*scope.of(session), backup, destination)
    session.printer.done(f"copying {backup} to {destination} again")


@verb(app, "repair", "holdfast backup repair nightly -p shop -a orders")
def repair(session: Session, scope: InAddon, backup: Id) -> None:
    """Make lost copies of a snapshot again from one that is whole."""
    with session.client() as client:
        client.backups.repair(*scope.of(session), backup)
    session.printer.done(f"making lost copies of {backup} again")


@verb(app, "logs", "holdfast backup logs nightly --project shop --addon orders --follow")
def logs(session: Session, scope: InAddon, backup: Id, lines: Lines) -> None:
    """Show what was logged while a backup was made."""
    which, query = scope.of(session), lines.query()
    with session.client() as client:
        source = client.backups.tail if lines.follow else client.backups.logs
        show_lines(session, source(*which, backup, query))


@verb(app, "evidence", "holdfast backup evidence nightly --project shop --addon orders")
def evidence(session: Session, scope: InAddon, backup: Id) -> None:
    """Show what a backup's status was derived from: checks, digests, exit statuses, rows."""
    with session.client() as client:
        session.printer.record(client.backups.evidence(*scope.of(session), backup))
