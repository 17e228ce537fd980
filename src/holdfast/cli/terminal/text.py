"""Values to words for people. Nothing a server says may steer the terminal."""

import re
from collections.abc import Iterator, Mapping
from typing import cast

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_INSTANT = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d+Z$")
_SIZES = frozenset({"size", "bytes", "expected"})


def human_size(count: float) -> str:
    """`1536` to `1.5 KiB`."""
    for unit in _UNITS[:-1]:
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} {_UNITS[-1]}"


def printable(text: str) -> str:
    """Without control characters: an escape sequence in a log line stays on the server."""
    return "".join(c if c.isprintable() or c == "\t" else "�" for c in text)


def dig(document: Mapping[str, object], path: str) -> object:
    """`("config.size")` out of nested objects; None when any part is missing."""
    value: object = document
    for part in path.split("."):
        value = _object(value).get(part)
    return value


def _object(value: object) -> dict[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def words(path: str, value: object) -> str:
    """One cell. `path` tells sizes from other numbers; instants lose their milliseconds."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(words(path, item) for item in cast("list[object]", value))
    if path.rpartition(".")[2] in _SIZES and str(value).isdecimal():
        return human_size(int(str(value)))
    return printable(_INSTANT.sub(r"\1Z", str(value)))


def flatten(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """`{"config": {"size": "1"}}` to `("config.size", "1 B")`; lists of plain values stay one."""
    inner = _parts(value)
    if inner is None:
        yield path, words(path, value)
        return
    for key, part in inner:
        yield from flatten(part, f"{path}.{key}" if path else key)


def _parts(value: object) -> list[tuple[str, object]] | None:
    if isinstance(value, dict):
        return list(_object(cast("object", value)).items())
    if isinstance(value, list):
        items = cast("list[object]", value)
        if any(isinstance(item, dict | list) for item in items):
            return [(str(index), item) for index, item in enumerate(items)]
    return None
