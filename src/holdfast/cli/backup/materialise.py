"""`holdfast backup materialise`: writes a snapshot's files as a data directory.

The directory appears whole or not at all. The steps to start a server from it are printed; no
server is touched.
"""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.backup.download import Id
from holdfast.cli.backup.unpacking import inside, unpack
from holdfast.cli.session.options import InAddon
from holdfast.cli.session.session import Session
from holdfast.cli.session.verbs import verb
from holdfast.cli.terminal.output import note
from holdfast.cli.terminal.progress import transferring
from holdfast.kit import durable

To = Annotated[
    Path, typer.Option("--to", metavar="DIR", help="A directory that does not exist yet.")
]


def materialise(session: Session, scope: InAddon, backup: Id, to: To) -> None:
    """Write a snapshot's files to a directory of this machine and say how to start from it."""
    target = to.absolute()
    if target.exists():
        raise typer.BadParameter(f"{target} exists already", param_hint="--to")
    draft = target.with_name(f".{target.name}.part")
    with session.client() as client:
        project, addon = scope.of(session)
        finish = client.backups.finish(project, addon, backup, str(target))
        with client.backups.files(project, addon, backup) as archive, _whole(draft, target):
            with transferring(backup, archive.expected) as progress:
                unpack(archive.chunks(), draft, lambda: progress(archive.received))
            # Only what lies inside the directory, whatever a server asks for.
            for name, text in finish.texts.items():
                inside(draft, name).write_text(text)
            for name, text in finish.appended.items():
                with inside(draft, name).open("a") as file:
                    file.write(f"\n{text}")
            for name, mode in finish.modes.items():
                inside(draft, name).chmod(int(mode, 8) & 0o777)
    session.printer.record({"directory": str(target)})
    for number, step in enumerate(finish.steps, 1):
        note(f"{number}. {step}")


@contextmanager
def _whole(draft: Path, target: Path) -> Generator[None]:
    """Moves the draft to the target, or removes it after an error."""
    if draft.exists():
        shutil.rmtree(draft)  # left over from a killed run: only this command uses such names
    draft.mkdir(mode=0o700, parents=True)
    try:
        yield
        durable.sync_tree(draft)
        durable.move(draft, target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def register(app: typer.Typer) -> None:
    verb(
        app, "materialise", "holdfast backup materialise nightly -p shop -a orders --to ./restored"
    )(materialise)
