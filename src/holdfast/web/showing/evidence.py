"""Sums up the checks of a backup as sentences, and says how it opens without Holdfast."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Check = Mapping[str, Any]

_TITLES = {
    "exit statuses": "Every process ended well",
    "size": "Nothing is empty",
    "read back": "Every byte was read back",
    "structure": "Its structure was read",
    "tables": "Every table is there",
    "manifest read back": "Manifest read back",
}
_SHOWN = 110
_DIGEST = re.compile(r"\b([0-9a-f]{10})[0-9a-f]{54}\b")
_OPENS = {"gz": "gunzip -c", "zstd": "zstd -dc", "zst": "zstd -dc"}


@dataclass(frozen=True)
class Summary:
    """Checks of one kind together."""

    title: str
    passed: bool
    text: str


def summed(checks: Sequence[Check]) -> list[Summary]:
    """One line for each kind of check: `read back of orders.dump`, `read back of globals.sql`."""
    groups: dict[str, list[Check]] = {}
    for check in checks:
        groups.setdefault(str(check["name"]).partition(" of ")[0], []).append(check)
    return [
        Summary(
            _TITLES.get(name, name[:1].upper() + name[1:]),
            all(check["passed"] for check in group),
            _text(group),
        )
        for name, group in groups.items()
    ]


def _text(group: Sequence[Check]) -> str:
    failed = next((check for check in group if not check["passed"]), None)
    if failed is not None:
        return f"{failed['name']}: {failed['found']}"
    text = _DIGEST.sub(r"\1…", str(group[0]["found"]))
    if len(group) > 1:
        text = f"{len(group)} of {len(group)}, such as {group[0]['name']}: {text}"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def stock_commands(kind: str, members: Sequence[Mapping[str, Any]]) -> list[str]:
    """What opens the objects of a dump without anything of ours."""
    commands: list[str] = []
    for member in members:
        key, name = str(member["key"]).rpartition("/")[2], str(member["name"])
        unpack = f"{_OPENS.get(key.rpartition('.')[2], 'cat')} {shlex.quote(key)}"
        database = shlex.quote(str(member.get("database") or name.partition(".")[0]))
        if kind == "postgresql":
            loads = "psql -d postgres" if name.endswith(".sql") else f"pg_restore -d {database}"
        else:
            loads = {"mysql": f"mysql {database}", "sqlite": "sqlite3 restored.db"}.get(kind, "")
        commands.append(f"{unpack} | {loads}" if loads else unpack)
    return commands
