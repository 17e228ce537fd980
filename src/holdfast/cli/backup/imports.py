"""`holdfast backup import`: imports a dump of another server, a local file or a URL."""

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

OPTIONS = {
    "name": "--name",
    "connectionString": "--connection-string-file",
    "importAllDatabases": "--only-its-database",
    "importUrl": "--url-file",
    "compressionType": "--compression",
    "customDestinationId": "--destination",
    "uploadId": "--resume",
}
"""The option for each field of the API."""


@dataclass(frozen=True)
class ImportOptions:
    """Exactly one source, and the options of the new backup."""

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
        sources = [self.file, self.url, self.url_file, self.connection_string_file]
        if sum(source is not None for source in sources) != 1:
            raise typer.BadParameter(
                "give exactly one of --file, --url, --url-file and --connection-string-file"
            )
        if self.resume is not None and self.file is None:
            raise typer.BadParameter("--resume needs the --file that is being uploaded")

    def body(self) -> dict[str, object]:
        """Returns the body without `uploadId`: the upload comes first."""
        fields: dict[str, object] = {
            "name": self.name,
            "compressionType": self.compression,
            "customDestinationId": self.destination,
            "importUrl": self.url,
        }
        if self.url_file is not None:
            fields["importUrl"] = prompts.secret(self.url_file, "URL", "--url-file").reveal()
        if self.connection_string_file is not None:
            connection_string = prompts.secret(
                self.connection_string_file, "Connection string", "--connection-string-file"
            )
            fields["connectionString"] = connection_string.reveal()
            fields["importAllDatabases"] = not self.only_its_database
        return {name: value for name, value in fields.items() if value is not None}


def import_backup(
    session: Session, scope: InAddon, choices: ImportOptions, waiting: Waiting
) -> None:
    """Import a dump as a backup; `holdfast restore create` loads it afterwards."""
    project, addon = scope.of(session)
    body = choices.body()
    options = OPTIONS if choices.url is None else {**OPTIONS, "importUrl": "--url"}
    with session.client() as client, naming(**options):
        if choices.file is not None:
            file, upload = choices.file, choices.resume
            with transferring(file.name, file.stat().st_size) as progress:
                if upload is None:
                    upload = client.imports.begin(project, addon, file).id
                    note(f"upload {upload}; if it breaks off, go on with --resume {upload}")
                sent = client.imports.send(project, addon, upload, file, progress)
            body["uploadId"] = sent.id
        backup = client.imports.create(project, addon, body)
        if waiting.wait:
            backup = awaited(client, project, addon, backup.id, waiting)
    conclude(session, backup, waited=waiting.wait)


def register(app: typer.Typer) -> None:
    verb(
        app,
        "import",
        "holdfast backup import -p shop -a orders --file shop.dump --wait",
        "holdfast backup import -p shop -a orders --url https://example.org/shop.sql.gz",
    )(import_backup)
