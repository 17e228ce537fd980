"""`holdfast backup materialise`: a snapshot's files as a data directory that a server starts from.

The directory appears whole or not at all. What has to be done with it is printed; nothing is done
to any server.
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
from holdfast.client.models.models import Finish
from holdfast.kit import durable

To = Annotated[
    Path, typer.Option("--to", metavar="DIR", help="A directory that does not exist yet.")
]


def materialise(session: Session, where: InAddon, backup: Id, to: To) -> None:
    """Write a snapshot's files to a directory of this machine and say how to start from it."""
    target = to.absolute()
    if target.exists():
        raise typer.BadParameter(f"{target} exists already", param_hint="--to")
    draft = target.with_name(f".{target.name}.part")
    with session.client() as client:
        project, addon = where.of(session)
        finish = client.backups.finish(project, addon, backup, str(target))
        with client.backups.files(project, addon, backup) as coming, _whole(draft, target):
            with transferring(backup, coming.expected) as progress:
                unpack(coming.chunks(), draft, lambda: progress(coming.received))
            _finish(draft, finish)
    session.printer.record({"directory": str(target)})
    for number, step in enumerate(finish.steps, 1):
        note(f"{number}. {step}")


@contextmanager
def _whole(draft: Path, target: Path) -> Generator[None]:
    """The draft becomes the target when all went well, and is removed when not."""
    if draft.exists():
        shutil.rmtree(draft)  # of a run that was killed: nobody else names a directory so
    draft.mkdir(mode=0o700, parents=True)
    try:
        yield
        durable.sync_tree(draft)
        durable.move(draft, target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _finish(draft: Path, finish: Finish) -> None:
    """As little as a server may ask for: texts and modes of what lies in the directory."""
    for name, text in finish.texts.items():
        inside(draft, name).write_text(text)
    for name, text in finish.appended.items():
        with inside(draft, name).open("a") as file:
            file.write(f"\n{text}")
    for name, mode in finish.modes.items():
        inside(draft, name).chmod(int(mode, 8) & 0o777)


def register(app: typer.Typer) -> None:
    verb(
        app, "materialise", "holdfast backup materialise nightly -p shop -a orders --to ./restored"
    )(materialise)
