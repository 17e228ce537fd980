"""Every command explains itself, shows an example that parses, and obeys the same conventions."""

import shlex
from collections.abc import Iterator

import pytest
import typer

from fixtures.http_api import Holdfast
from holdfast.cli.main import app


def commands(group: typer.Typer, *words: str) -> Iterator[tuple[str, ...]]:
    for command in group.registered_commands:
        yield (*words, str(command.name))
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        yield from commands(inner.typer_instance, *words, str(inner.name))


ALL = sorted(commands(app))
EXPECTED = {
    "login logout about health version",
    "context list use remove",
    "project list create get update delete",
    "addon types list create attach get update delete pause resume restart reset credentials"
    " version containers logs",
    "backup list create get delete abort download retain logs evidence wait",
    "schedule create list get update delete next history why",
    "retention plan deletions findings audit prune",
    "restore create list get abort logs wait",
    "destination list create get update delete backups",
    "token create list revoke",
    "role list create delete",
}


def test_every_noun_has_its_verbs() -> None:
    nouns = {line.split()[0]: set(line.split()[1:]) for line in EXPECTED if "login" not in line}
    found: dict[str, set[str]] = {}
    for words in ALL:
        if len(words) == 2:
            found.setdefault(words[0], set()).add(words[1])
    for noun, verbs in nouns.items():
        assert verbs <= found[noun]


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_help_has_a_sentence_and_an_example_of_itself(
    fresh_holdfast: Holdfast, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    ran = fresh_holdfast(*words, "--help")
    assert ran.status == 0
    assert "Example" in ran.out
    assert f" {shlex.join(('holdfast', *words))}" in ran.out
