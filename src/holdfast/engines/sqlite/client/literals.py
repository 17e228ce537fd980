"""Writes values as exact SQL literals on one line."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

_PIECE_CHARACTERS = 1 << 20
_QUOTES = {"'": "''"}
_LINE_ENDS = {"\n": 10, "\r": 13}
_SPECIAL = ("'", "\0", *_LINE_ENDS)


class Text(bytes):
    """A value that SQLite calls text but that is no UTF-8; plain `bytes` are blobs."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value's body and the SQL around it; `swaps` replace single characters of the body."""

    before: str
    body: str | bytes
    after: str
    swaps: Mapping[str, str] = field(default_factory=dict[str, str])

    def whole(self) -> str:
        return f"{self.before}{self._written(self.body)}{self.after}"

    def pieces(self) -> Iterator[str]:
        """Yields the literal in small pieces, however large it is."""
        yield self.before
        for start in range(0, len(self.body), _PIECE_CHARACTERS):
            yield self._written(self.body[start : start + _PIECE_CHARACTERS])
        yield self.after

    def _written(self, part: str | bytes) -> str:
        if isinstance(part, bytes):
            return part.hex()
        for character, other in self.swaps.items():
            part = part.replace(character, other)
        return part


def literal(value: str | bytes, encoding: str) -> Literal:
    """The literal of a text or blob; a text with NUL bytes is written in the file's `encoding`."""
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
    """Whether the text needs only quotes around it to be a literal."""
    return not any(character in text for character in _SPECIAL)


def quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _text(value: str, encoding: str) -> Literal:
    """Writes line ends and NUL bytes, which a shell cannot read, as functions."""
    if "\0" in value:
        return Literal("CAST(X'", value.encode(encoding), "' AS TEXT)")
    before, after, swaps = "'", "'", dict(_QUOTES)
    for character, code in _LINE_ENDS.items():
        if character in value:
            tokens = (f"\\{code}{number or ''}\\" for number in count())
            swaps[character] = token = next(token for token in tokens if token not in value)
            before, after = f"replace({before}", f"{after},'{token}',char({code}))"
    return Literal(before, value, after, swaps)
