"""Values as SQL literals that give exactly the value, and lie on one line."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_PIECE = 1 << 20
_QUOTES = {"'": "''"}
_LINES = {"\n": 10, "\r": 13}
_PLAIN = ("'", "\0", *_LINES)


class Text(bytes):
    """What SQLite says is text, apart from what it says is a blob."""


@dataclass(frozen=True, slots=True)
class Literal:
    """The body of a value, and what is around it. `swaps` stand for single characters of it."""

    before: str
    body: str | bytes
    after: str
    swaps: Mapping[str, str] = field(default_factory=dict[str, str])

    def whole(self) -> str:
        return f"{self.before}{self._written(self.body)}{self.after}"

    def pieces(self) -> Iterator[str]:
        """Small ones, however large it is."""
        yield self.before
        for start in range(0, len(self.body), _PIECE):
            yield self._written(self.body[start : start + _PIECE])
        yield self.after

    def _written(self, part: str | bytes) -> str:
        if isinstance(part, bytes):
            return part.hex()
        for character, other in self.swaps.items():
            part = part.replace(character, other)
        return part


def literal(value: str | bytes, encoding: str) -> Literal:
    """Of a text or a blob; a text with NUL bytes is written in the file's `encoding`."""
    match value:
        case Text():
            try:
                return _text(value.decode(), encoding)
            except UnicodeDecodeError:
                return Literal("CAST(X'", value, "' AS TEXT)")
        case bytes():
            return Literal("X'", value, "'")
        case str():
            return _text(value, encoding)


def is_plain(text: str) -> bool:
    """Is it its own literal, but for the quotes around it?"""
    return not any(character in text for character in _PLAIN)


def quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _text(value: str, encoding: str) -> Literal:
    """Ends of lines and what no shell reads become functions."""
    if "\0" in value:
        return Literal("CAST(X'", value.encode(encoding), "' AS TEXT)")
    before, after, swaps = "'", "'", dict(_QUOTES)
    for character, code in _LINES.items():
        if character in value:
            swaps[character] = token = _token(value, code)
            before, after = f"replace({before}", f"{after},'{token}',char({code}))"
    return Literal(before, value, after, swaps)


def _token(text: str, code: int) -> str:
    """Something that does not occur in it."""
    number = 0
    while (token := f"\\{code}{number or ''}\\") in text:
        number += 1
    return token
