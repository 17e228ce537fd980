"""Splits the text of `pg_dumpall --globals-only` into statements, without running psql on it.

psql reads backslash commands and would run a shell if a dump asked it to; text that came back
from a store is never given to it. This splitter knows exactly the quoting PostgreSQL has, and
anything it does not expect is an error.
"""

import re
from collections.abc import Iterator, Sequence

_TOKEN = re.compile(
    r"""
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
    """,
    re.VERBOSE | re.DOTALL,
)
_HARMLESS_META = re.compile(r"\\(?:un)?restrict [A-Za-z0-9]+\s*")


class Unparsable(ValueError):
    """The text is not what pg_dumpall writes."""


def split(text: str) -> Sequence[str]:
    """The statements of `text` without their semicolons and comments."""
    statements: list[str] = []
    parts: list[str] = []
    for kind, token in _tokens(text):
        if kind == "end":
            statements.append("".join(parts).strip())
            parts = []
        elif kind == "meta":
            _judge_meta(token, "".join(parts))
        else:
            parts.append(" " if kind in ("line", "comment") else token)
    if "".join(parts).strip():
        raise Unparsable("the last statement has no end")
    return [statement for statement in statements if statement]


def words(statement: str) -> list[tuple[str, str]]:
    """(kind, token) without white space; kinds are those of the splitter."""
    return [(kind, token) for kind, token in _tokens(statement) if kind != "space"]


def _judge_meta(token: str, before: str) -> None:
    if before.strip() or not _HARMLESS_META.fullmatch(token):
        raise Unparsable(f"a command for psql is not allowed here: {token[:60]!r}")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise Unparsable(f"unexpected text: {text[position : position + 40]!r}")
        kind = match.lastgroup or "other"
        end = match.end()
        if kind == "dollar":
            end = _find_end(text, end, match[0])
        elif kind == "block":
            kind, end = "comment", _block_end(text, end)
        yield kind, text[position:end]
        position = end


def _find_end(text: str, start: int, delimiter: str) -> int:
    found = text.find(delimiter, start)
    if found < 0:
        raise Unparsable(f"{delimiter} is never closed")
    return found + len(delimiter)


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
