"""Gets what a command needs from the user or a file: confirmation, a secret, a body."""

import json
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, cast

import typer

from holdfast.cli.terminal.output import note
from holdfast.cli.terminal.problems import INTERRUPTED
from holdfast.kit.seal import Secret

BodyFile = Annotated[
    str | None,
    typer.Option("--file", "-f", help="JSON body from FILE (`-`: standard input)."),
]


def confirm(question: str, *, force: bool, option: str = "--force") -> None:
    """Returns only after a yes; without a terminal only the option counts as one."""
    if force:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"there is no terminal to ask for confirmation on: give {option}")
    with _interruptible():
        agreed = typer.confirm(question, err=True)
    if not agreed:
        note("nothing was changed")
        raise typer.Exit(0)


def secret(file: str | None, subject: str, option: str) -> Secret:
    """Reads a secret from a file, standard input (`-`) or a prompt.

    An argument would show in process lists.
    """
    if file is not None:
        return Secret(_read(file, option).strip())
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"there is no terminal to ask for the {subject} on: give {option}")
    with _interruptible():
        return Secret(typer.prompt(subject, hide_input=True, err=True))


@contextmanager
def _interruptible() -> Generator[None]:
    """Makes Ctrl-C at a question an interruption like any other."""
    try:
        yield
    except typer.Abort as error:
        raise typer.Exit(INTERRUPTED) from error


def body(file: str | None, options: Mapping[str, object]) -> dict[str, object]:
    """Returns the file's object with the given options over it."""
    fields = {name: value for name, value in options.items() if value is not None}
    if file is None:
        return fields
    try:
        document: object = json.loads(_read(file, "--file"))
    except ValueError as error:
        raise typer.BadParameter(f"--file {file} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise typer.BadParameter(f"--file {file} does not hold a JSON object")
    return {**cast("dict[str, object]", document), **fields}


def _read(file: str, option: str) -> str:
    if file == "-":
        return sys.stdin.read()
    try:
        return Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{option} {file} cannot be read: {error}") from error
