"""`holdfast backup download`: writes the artifact, whole or not at all.

The bytes go to a `.part` file beside the target, which replaces the target when all announced bytes
have come.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from holdfast.cli.session.options import InAddon
from holdfast.cli.session.session import Session
from holdfast.cli.session.verbs import verb
from holdfast.cli.terminal.progress import transferring
from holdfast.client.transport.download import Download
from holdfast.kit import durable

Id = Annotated[str, typer.Argument(metavar="BACKUP", help="Backup id.")]


@dataclass(frozen=True)
class Target:
    output: Annotated[
        str | None,
        typer.Option("--output", "-O", help="File or directory (`-`: standard output)."),
    ] = None
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file.")] = False

    def path(self, suggested: str) -> Path:
        path = Path(self.output or suggested)
        path = path / suggested if path.is_dir() else path
        if path.exists() and not self.overwrite:
            raise typer.BadParameter(f"{path} exists: give --overwrite or another --output")
        return path


def download(session: Session, scope: InAddon, backup: Id, target: Target) -> None:
    """Download a completed dump; it opens with the database's own tools."""
    with (
        session.client() as client,
        client.backups.download(*scope.of(session), backup) as artifact,
    ):
        if target.output == "-":
            _write(artifact, sys.stdout.buffer)
            sys.stdout.buffer.flush()
            return
        path = target.path(artifact.name)
        part = path.with_name(path.name + ".part")
        try:
            with part.open("wb") as file:
                _write(artifact, file)
            durable.sync(part)
            durable.move(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    result = {"file": str(path), "bytes": artifact.received, "sha256": artifact.sha256}
    session.printer.record(result)


def _write(artifact: Download, file: BinaryIO) -> None:
    with transferring(artifact.name, artifact.expected) as progress:
        for chunk in artifact.chunks():
            file.write(chunk)
            progress(artifact.received)


def register(app: typer.Typer) -> None:
    verb(
        app,
        "download",
        "holdfast backup download nightly -p shop -a orders --output nightly.zst",
        "holdfast backup download nightly -p shop -a orders --output - | zstd -d > dump",
    )(download)
