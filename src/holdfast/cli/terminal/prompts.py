"""What a command needs from the person or a file: confirmation, a secret, a body."""

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
    """Returns only after a yes. Without a terminal only the option is one."""
    if force:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"there is no terminal to ask for confirmation on: give {option}")
    with _interruptible():
        agreed = typer.confirm(question, err=True)
    if not agreed:
        note("nothing was changed")
        raise typer.Exit(0)


def secret(file: str | None, what: str, option: str) -> Secret:
    """From a file, standard input (`-`) or a prompt: an argument would show in process lists."""
    if file is not None:
        return Secret(_read(file, option).strip())
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"there is no terminal to ask for the {what} on: give {option}")
    with _interruptible():
        return Secret(typer.prompt(what, hide_input=True, err=True))


@contextmanager
def _interruptible() -> Generator[None]:
    """Ctrl-C at a question is an interruption like any other."""
    try:
        yield
    except typer.Abort as error:
        raise typer.Exit(INTERRUPTED) from error


def body(file: str | None, options: Mapping[str, object]) -> dict[str, object]:
    """The file's object with what was given as options laid over it."""
    given = {name: value for name, value in options.items() if value is not None}
    if file is None:
        return given
    try:
        found: object = json.loads(_read(file, "--file"))
    except ValueError as error:
        raise typer.BadParameter(f"--file {file} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise typer.BadParameter(f"--file {file} does not hold a JSON object")
    return {**cast("dict[str, object]", found), **given}


def _read(file: str, option: str) -> str:
    if file == "-":
        return sys.stdin.read()
    try:
        return Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{option} {file} cannot be read: {error}") from error
