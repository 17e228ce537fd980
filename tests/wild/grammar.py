"""Databases composed at random from features, with names drawn from what real ones are called.

A feature is a text of statements, separated by `;;`. `<t>` stands for a name of this database's
own, quoted; `<'t'>` for the same as a string; `<#n>` for a small number. Within one feature the
same word means the same name.
"""

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

STEMS = (
    *("orders", "Users", "order items", "select", "Zoë", "naïve_table", "日本語", "🦊", "a" * 50),
    *("with.dot", "with-dash", "per%cent", "2fast", "_private", "MixedCase", "tab\tbed", "user"),
    *("semi;colon", "back\\slash", "dollar$$name", "quo'te", 'dou"ble', "tick`ed", "{brace}"),
    *("-- comment", "/* comment */", "table", "NULL", "trailing ", " leading", "a:b", "#hash"),
)
_MARK = re.compile(r"<(#|')?([a-z][a-z0-9_]*)'?>")


@dataclass(frozen=True)
class Dialect:
    """How one engine writes names and strings; `longest` name in bytes; `refused` stems."""

    quote: Callable[[str], str]
    string: Callable[[str], str]
    longest: int = 63
    refused: frozenset[str] = frozenset()


@dataclass
class Weaver:
    """Draws everything that is random of one database from one seed."""

    dice: random.Random
    dialect: Dialect
    count: int = 0
    used: list[str] = field(default_factory=list[str])

    def name(self) -> str:
        """One that nothing else here has."""
        stems = [stem for stem in STEMS if stem not in self.dialect.refused]
        self.count += 1
        stem = self.dice.choice(stems)
        room = self.dialect.longest - len(f"_{self.count}")
        while len(stem.encode()) > room:
            stem = stem[:-1]
        # The number goes in front where the end matters, as with a blank.
        return (
            f"{stem}_{self.count}" if self.dice.random() < 0.8 else f"{self.count}_{stem}".strip()
        )

    def statements(self, feature: str) -> Iterator[str]:
        names: dict[str, str] = {}

        def put(match: re.Match[str]) -> str:
            kind, word = match.groups()
            if kind == "#":
                return names.setdefault(f"#{word}", str(self.dice.randint(1, 40)))
            name = names.setdefault(word, self.name())
            return self.dialect.string(name) if kind == "'" else self.dialect.quote(name)

        for statement in _MARK.sub(put, feature).split(";;"):
            if statement.strip():
                yield statement.strip()

    def choose(self, features: Mapping[str, str], least: int, most: int) -> Sequence[str]:
        many = self.dice.randint(least, min(most, len(features)))
        chosen = self.dice.sample(sorted(features), many)
        self.used += chosen
        return chosen
