"""Words values for people; text from a server cannot steer the terminal."""

import re
from collections.abc import Iterator, Mapping
from typing import cast

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_INSTANT = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d+Z$")
_SIZES = frozenset({"size", "bytes", "expected"})


def human_size(count: float) -> str:
    """Words a size: `1.5 KiB` for `1536`."""
    for unit in _UNITS[:-1]:
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} {_UNITS[-1]}"


def printable(text: str) -> str:
    """Replaces control characters, such as escape sequences in a log line."""
    return "".join(c if c.isprintable() or c == "\t" else "�" for c in text)


def dig(document: Mapping[str, object], path: str) -> object:
    """Returns the value at a path such as `config.size`; None when a part is missing."""
    value: object = document
    for part in path.split("."):
        value = _object(value).get(part)
    return value


def _object(value: object) -> dict[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def words(path: str, value: object) -> str:
    """Words one cell. `path` tells sizes from other numbers; instants lose their milliseconds."""
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
    """Yields `("config.size", "1 B")` for `{"config": {"size": "1"}}`.

    A list of plain values stays one value.
    """
    inner: list[tuple[str, object]] = []
    items = cast("list[object]", value) if isinstance(value, list) else []
    if isinstance(value, dict):
        inner = list(_object(cast("object", value)).items())
    elif any(isinstance(item, dict | list) for item in items):
        inner = [(str(index), item) for index, item in enumerate(items)]
    else:
        yield path, words(path, cast("object", value))
    for key, part in inner:
        yield from flatten(part, f"{path}.{key}" if path else key)
