"""The servers this person is logged in to, kept in one file only they can read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import typer

from holdfast.cli.terminal.problems import ConfigBroken
from holdfast.kit import durable
from holdfast.kit.seal import Secret


@dataclass(frozen=True)
class Context:
    """One server, one token, and what commands mean when they name no project or addon."""

    host: str
    token: Secret | None = None
    project: str | None = None
    addon: str | None = None

    def document(self) -> dict[str, str]:
        token = self.token.reveal() if self.token else None
        found = {"host": self.host, "token": token, "project": self.project, "addon": self.addon}
        return {name: value for name, value in found.items() if value}


@dataclass(frozen=True)
class Book:
    current: str | None = None
    contexts: Mapping[str, Context] = field(default_factory=dict[str, Context])

    def with_context(self, name: str, context: Context) -> "Book":
        return Book(name, {**self.contexts, name: context})

    def without(self, name: str) -> "Book":
        left = {n: c for n, c in self.contexts.items() if n != name}
        return Book(None if self.current == name else self.current, left)

    def using(self, name: str) -> "Book":
        return replace(self, current=name)


def default_path() -> Path:
    return Path(typer.get_app_dir("holdfast")) / "config.json"


def load(path: Path) -> Book:
    try:
        found: object = json.loads(path.read_text())
    except FileNotFoundError:
        return Book()
    except (OSError, ValueError) as error:
        raise ConfigBroken(f"{path} cannot be read: {error}") from error
    try:
        return _book(found)
    except (AttributeError, KeyError, TypeError) as error:
        raise ConfigBroken(f"{path} is not a list of contexts: mend or remove it") from error


def _book(found: object) -> Book:
    document = cast("dict[str, object]", found)
    contexts = cast("dict[str, dict[str, str]]", document.get("contexts", {}))
    current = document.get("current")
    return Book(
        current if isinstance(current, str) else None,
        {name: _context(saved) for name, saved in contexts.items()},
    )


def _context(saved: Mapping[str, str]) -> Context:
    token = Secret(saved["token"]) if saved.get("token") else None
    return Context(str(saved["host"]), token, saved.get("project"), saved.get("addon"))


def save(path: Path, book: Book) -> None:
    """Replaces the file in one step; it is never readable by others, not even for a moment."""
    contexts = {name: context.document() for name, context in book.contexts.items()}
    text = json.dumps({"current": book.current, "contexts": contexts}, indent=2) + "\n"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    durable.write(path, text)
