"""Splits the text of `pg_dumpall --globals-only` into statements, without running psql on it.

psql runs a shell if a dump asks it to, so text that came back from a store is never given to it.
This splitter knows exactly PostgreSQL's quoting; anything unexpected is an error.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_PATTERN = r"""
      (?P<space>\s+)
    | (?P<line>--[^\n]*)
    | (?P<block>/\*)
    | (?P<escaped>[eE]'(?:[^'\\]|\\.|'')*')
    | (?P<string>'(?:[^']|'')*')
    | (?P<identifier>"(?:[^"]|"")+")
    | (?P<dollar>\$(?:[^\W\d]\w*)?\$)
    | (?P<meta>\\[^\n]*)
    | (?P<end>;)
    | (?P<word>\w[\w$]*)
    | (?P<other>[^'"\\;$])
"""
_TOKEN = re.compile(_PATTERN, re.VERBOSE | re.DOTALL)
_ESCAPING = re.compile(
    _PATTERN.replace(r"(?P<string>'(?:[^']|'')*')", r"(?P<string>'(?:[^'\\]|\\.|'')*')"),
    re.VERBOSE | re.DOTALL,
)
"""Tokens where standard_conforming_strings is off."""
_STRINGS = re.compile(r"SET\s+standard_conforming_strings\s*(?:=|TO)\s*'?(on|off)'?", re.IGNORECASE)
_HARMLESS_META = re.compile(r"\\(?:un)?restrict [A-Za-z0-9]+\s*")


class Unparsable(ValueError):
    """The text is not what pg_dumpall writes."""


@dataclass
class _StringSyntax:
    """How strings are written from here on: `escaping` where a backslash escapes."""

    escaping: bool = False

    def note(self, statement: str) -> None:
        setting = _STRINGS.fullmatch(statement)
        if setting is not None:
            self.escaping = setting[1].lower() == "off"


def split(text: str) -> Sequence[str]:
    """The statements of `text` without their semicolons and comments.

    Strings in which a backslash escapes, as a server with standard_conforming_strings off writes
    them, are marked as such with a leading E.
    """
    statements: list[str] = []
    parts: list[str] = []
    strings = _StringSyntax()
    for kind, token in _tokens(text, strings):
        if kind == "end":
            statements.append("".join(parts).strip())
            strings.note(statements[-1])
            parts = []
        elif kind == "meta":
            if "".join(parts).strip() or not _HARMLESS_META.fullmatch(token):
                raise Unparsable(f"a command for psql is not allowed here: {token[:60]!r}")
        elif kind == "string" and strings.escaping:
            parts.append(f" E{token}")
        else:
            parts.append(" " if kind in ("line", "comment") else token)
    if "".join(parts).strip():
        raise Unparsable("the last statement has no end")
    return [
        statement for statement in statements if statement and not _STRINGS.fullmatch(statement)
    ]


def words(statement: str) -> list[tuple[str, str]]:
    """(kind, token) pairs without white space; kinds are those of the splitter."""
    return [(kind, token) for kind, token in _tokens(statement) if kind != "space"]


def _tokens(text: str, strings: _StringSyntax | None = None) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(text):
        pattern = _ESCAPING if strings is not None and strings.escaping else _TOKEN
        match = pattern.match(text, position)
        if match is None:
            raise Unparsable(f"unexpected text: {text[position : position + 40]!r}")
        kind = match.lastgroup or "other"
        end = match.end()
        if kind == "dollar":
            closing = text.find(match[0], end)
            if closing < 0:
                raise Unparsable(f"{match[0]} is never closed")
            end = closing + len(match[0])
        elif kind == "block":
            kind, end = "comment", _block_end(text, end)
        yield kind, text[position:end]
        position = end


def _block_end(text: str, position: int) -> int:
    """Block comments nest in PostgreSQL."""
    depth = 1
    while depth:
        match = re.compile(r"/\*|\*/").search(text, position)
        if match is None:
            raise Unparsable("a comment is never closed")
        depth += 1 if match[0] == "/*" else -1
        position = match.end()
    return position
