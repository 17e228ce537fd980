"""`holdfast backup import`: a dump of another server, or a file from here or from an address."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.backup.conclusion import awaited, conclude
from holdfast.cli.session.options import InAddon, Waiting
from holdfast.cli.session.session import Session
from holdfast.cli.session.verbs import verb
from holdfast.cli.terminal import prompts
from holdfast.cli.terminal.output import note
from holdfast.cli.terminal.problems import naming
from holdfast.cli.terminal.progress import transferring
from holdfast.client import Client

OPTIONS = {
    "name": "--name",
    "connectionString": "--connection-string-file",
    "importAllDatabases": "--only-its-database",
    "importUrl": "--url-file",
    "compressionType": "--compression",
    "customDestinationId": "--destination",
    "uploadId": "--resume",
}
"""Fields of the API to the options that say them."""


@dataclass(frozen=True)
class Wanted:
    """Exactly one source, and what becomes of it."""

    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", exists=True, dir_okay=False, help="A dump on this machine."),
    ] = None
    url: Annotated[str | None, typer.Option("--url", help="A dump to fetch.")] = None
    url_file: Annotated[
        str | None, typer.Option("--url-file", help="The same, with a secret in it; `-`: stdin.")
    ] = None
    connection_string_file: Annotated[
        str | None,
        typer.Option("--connection-string-file", help="A server to dump; `-`: standard input."),
    ] = None
    only_its_database: Annotated[
        bool, typer.Option("--only-its-database", help="Only the one that the string names.")
    ] = False
    resume: Annotated[
        str | None, typer.Option("--resume", help="Go on with this upload of --file.")
    ] = None
    name: Annotated[str | None, typer.Option("--name", help="Default: the time.")] = None
    compression: Annotated[
        str | None, typer.Option("--compression", "-c", help="gz (default) or zstd.")
    ] = None
    destination: Annotated[
        str | None, typer.Option("--destination", "-d", help="Destination id.")
    ] = None

    def __post_init__(self) -> None:
        given = [self.file, self.url, self.url_file, self.connection_string_file]
        if sum(each is not None for each in given) != 1:
            raise typer.BadParameter(
                "give exactly one of --file, --url, --url-file and --connection-string-file"
            )
        if self.resume is not None and self.file is None:
            raise typer.BadParameter("--resume needs the --file that is being uploaded")

    def body(self) -> dict[str, object]:
        """Without the upload, which has to be made first."""
        fields: dict[str, object] = {
            "name": self.name,
            "compressionType": self.compression,
            "customDestinationId": self.destination,
            "importUrl": self.url,
        }
        if self.url_file is not None:
            fields["importUrl"] = prompts.secret(self.url_file, "URL", "--url-file").reveal()
        if self.connection_string_file is not None:
            found = prompts.secret(
                self.connection_string_file, "Connection string", "--connection-string-file"
            )
            fields["connectionString"] = found.reveal()
            fields["importAllDatabases"] = not self.only_its_database
        return {name: value for name, value in fields.items() if value is not None}


def import_backup(session: Session, where: InAddon, wanted: Wanted, waiting: Waiting) -> None:
    """Import a dump as a backup; `holdfast restore create` loads it afterwards."""
    project, addon = where.of(session)
    body = wanted.body()
    options = OPTIONS if wanted.url is None else {**OPTIONS, "importUrl": "--url"}
    with session.client() as client, naming(**options):
        if wanted.file is not None:
            body["uploadId"] = _uploaded(client, (project, addon), wanted.file, wanted.resume)
        made = client.imports.create(project, addon, body)
        if waiting.wait:
            made = awaited(client, (project, addon, made.id), waiting)
    conclude(session, made, waited=waiting.wait)


def _uploaded(client: Client, where: tuple[str, str], file: Path, resume: str | None) -> str:
    with transferring(file.name, file.stat().st_size) as progress:
        if resume is None:
            resume = client.imports.begin(*where, file).id
            note(f"upload {resume}; if it breaks off, go on with --resume {resume}")
        return client.imports.send(*where, resume, file, progress).id


def register(app: typer.Typer) -> None:
    verb(
        app,
        "import",
        "holdfast backup import -p shop -a orders --file shop.dump --wait",
        "holdfast backup import -p shop -a orders --url https://example.org/shop.sql.gz",
    )(import_backup)
