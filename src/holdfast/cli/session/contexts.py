"""Keeps the servers that the user is logged in to, in one file that only the user can read."""

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
    """One server, one token, and the default project and addon."""

    host: str
    token: Secret | None = None
    project: str | None = None
    addon: str | None = None

    def document(self) -> dict[str, str]:
        token = self.token.reveal() if self.token else None
        fields = {"host": self.host, "token": token, "project": self.project, "addon": self.addon}
        return {name: value for name, value in fields.items() if value}


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
        document: object = json.loads(path.read_text())
    except FileNotFoundError:
        return Book()
    except (OSError, ValueError) as error:
        raise ConfigBroken(f"{path} cannot be read: {error}") from error
    try:
        book = cast("dict[str, object]", document)
        contexts: dict[str, Context] = {}
        for name, saved in cast("dict[str, dict[str, str]]", book.get("contexts", {})).items():
            token = Secret(saved["token"]) if saved.get("token") else None
            host, project, addon = str(saved["host"]), saved.get("project"), saved.get("addon")
            contexts[name] = Context(host, token, project, addon)
        current = book.get("current")
        return Book(current if isinstance(current, str) else None, contexts)
    except (AttributeError, KeyError, TypeError) as error:
        raise ConfigBroken(f"{path} is not a list of contexts: mend or remove it") from error


def save(path: Path, book: Book) -> None:
    """Replaces the file in one step; other users can never read it."""
    contexts = {name: context.document() for name, context in book.contexts.items()}
    text = json.dumps({"current": book.current, "contexts": contexts}, indent=2) + "\n"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    durable.write(path, text)
