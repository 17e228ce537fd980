"""`holdfast backup download`: the artifact, whole or not at all.

The bytes go to a `.part` file beside the target, which only gets its name when all that was
announced has come. What was there before stays until then.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

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


def download(session: Session, where: InAddon, backup: Id, target: Target) -> None:
    """Download a completed dump; it opens with the database's own tools."""
    with (
        session.client() as client,
        client.backups.download(*where.of(session), backup) as coming,
    ):
        if target.output == "-":
            _to_stdout(coming)
            return
        path = target.path(coming.name)
        _to_file(coming, path)
    session.printer.record({"file": str(path), "bytes": coming.received, "sha256": coming.sha256})


def _to_stdout(coming: Download) -> None:
    with transferring(coming.name, coming.expected) as progress:
        for chunk in coming.chunks():
            sys.stdout.buffer.write(chunk)
            progress(coming.received)
    sys.stdout.buffer.flush()


def _to_file(coming: Download, path: Path) -> None:
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file, transferring(path.name, coming.expected) as progress:
            for chunk in coming.chunks():
                file.write(chunk)
                progress(coming.received)
        durable.sync(part)
        durable.move(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def register(app: typer.Typer) -> None:
    verb(
        app,
        "download",
        "holdfast backup download nightly -p shop -a orders --output nightly.zst",
        "holdfast backup download nightly -p shop -a orders --output - | zstd -d > dump",
    )(download)
