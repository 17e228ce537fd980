"""Parses a plain SQL dump while it streams by: statements, rows of COPY, commands for psql.

psql would run a shell if a dump asked it to, so text from elsewhere is never given to it. The
quoting is PostgreSQL's own, with psql's rule for where a statement ends: not inside parentheses,
and not inside the body of an SQL-standard function. Only the current statement is held in memory;
rows pass by in chunks.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.domain.errors import EvidenceMissing

_LOOKAHEAD_BYTES = 256
"""Longest token that has to be seen whole: names have 63 bytes at most."""

_MAX_STATEMENT_BYTES = 256 << 20

_TOKEN = re.compile(
    rb"""
      (?P<quote>['"])
    | (?P<dollar>(?<![\w$\x80-\xff])\$(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*)?\$)
    | (?P<line>--)
    | (?P<block>/\*)
    | (?P<end>;)
    | (?P<paren>[()])
    | (?P<meta>\\)
    | (?P<word>\b(?:begin|case|end)\b)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_ROUTINE = re.compile(rb"create\s+(?:or\s+replace\s+)?(?:function|procedure)\b", re.IGNORECASE)
_ESCAPED = re.compile(rb"(?:^|[^\w$\x80-\xff])[eE]$")
_COPY = re.compile(rb"copy\b.*\bfrom\s+stdin\b", re.IGNORECASE | re.DOTALL)
_ESCAPE_OR_QUOTE = re.compile(rb"[\\']")
_LAST_ROW = re.compile(rb"\\\.\r?(?:\n|\Z)")


@dataclass(frozen=True)
class Statement:
    """A statement without its semicolon and the comments before it."""

    text: bytes


@dataclass(frozen=True)
class CopyRows:
    """A COPY ... FROM stdin and its lines, in chunks. Chunks that are not read are skipped."""

    text: bytes
    chunks: Iterator[bytes]


@dataclass(frozen=True)
class PsqlCommand:
    """A command for psql: a line that begins with a backslash."""

    text: str


@dataclass(frozen=True)
class CommentLine:
    """A line of a comment between statements."""

    text: str


Item = Statement | CopyRows | PsqlCommand | CommentLine


class Script:
    """One pass over a dump. EvidenceMissing where the text is cut off or is no SQL.

    `escapes`: backslashes escape in all strings, as without standard_conforming_strings.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._buffer = bytearray()
        self._ended = False
        self._depth = 0
        self._bodies = 0
        self.escapes = False

    def items(self) -> Iterator[Item]:
        position = 0
        while (token := self._next_token(position)) is not None:
            kind, start, end = token
            if kind in ("line", "block", "meta") and not self._buffer[:start].strip():
                # A comment or a command for psql where a statement could begin.
                is_block = kind == "block"
                after = self._block_end(end) if is_block else self._find(b"\n", end, at_end=True)
                text = bytes(self._buffer[start:after]).decode(errors="replace").strip()
                del self._buffer[:after]
                if kind == "meta":
                    yield PsqlCommand(text)
                elif kind == "line":
                    yield CommentLine(text.removeprefix("--").strip())
                position = 0
            elif kind == "end" and self._depth == self._bodies == 0:
                yield from self._statement(start, end)
                position = 0
            else:
                position = self._skip_token(kind, start, end)
        if self._buffer.strip():
            raise EvidenceMissing(f"the file ends inside a statement: {self._head()}")

    def _next_token(self, position: int) -> tuple[str, int, int] | None:
        while True:
            match = _TOKEN.search(self._buffer, position)
            whole = match is not None and match.end() <= len(self._buffer) - _LOOKAHEAD_BYTES
            if match is not None and (whole or self._ended):
                return str(match.lastgroup), match.start(), match.end()
            if self._ended:
                return None
            searched = match.start() if match is not None else len(self._buffer) - _LOOKAHEAD_BYTES
            position = max(position, searched)
            self._fill()

    def _fill(self) -> bool:
        if len(self._buffer) > _MAX_STATEMENT_BYTES:
            raise EvidenceMissing(f"a statement is longer than can be held: {self._head()}")
        chunk = next(self._chunks, None)
        if chunk is None:
            self._ended = True
            return False
        self._buffer += chunk
        return True

    def _head(self) -> str:
        return repr(bytes(self._buffer[:80]).strip().decode(errors="replace"))

    def _statement(self, start: int, end: int) -> Iterator[Item]:
        text = bytes(self._buffer[:start]).strip()
        del self._buffer[:end]
        if _COPY.match(text):
            del self._buffer[: self._find(b"\n", 0, at_end=True)]
            rows = self._rows(text)
            yield CopyRows(text, rows)
            for _ in rows:
                pass
        elif text:
            yield Statement(text)

    def _rows(self, text: bytes) -> Iterator[bytes]:
        while True:
            mark = self._end_of_rows()
            if mark is not None and (self._ended or self._buffer[mark[1] - 1] == ord("\n")):
                if mark[0]:
                    yield bytes(self._buffer[: mark[0]])
                del self._buffer[: mark[1]]
                return
            if self._ended:
                name = text[:80].decode(errors="replace")
                raise EvidenceMissing(f"the file ends inside the rows of {name!r}")
            # Whole lines are passed on; the last one may be the beginning of the end mark.
            lines = self._buffer.rfind(b"\n") + 1
            if lines:
                yield bytes(self._buffer[:lines])
                del self._buffer[:lines]
            self._fill()

    def _end_of_rows(self) -> tuple[int, int] | None:
        """Start and end of the line that ends the rows, or that may when more bytes come."""
        start = 0 if self._buffer.startswith(b"\\.") else self._buffer.find(b"\n\\.") + 1
        while start or self._buffer.startswith(b"\\."):
            mark = _LAST_ROW.match(self._buffer, start)
            if mark is not None:
                return start, mark.end()
            start = self._buffer.find(b"\n\\.", start + 1) + 1
            if not start:
                break
        return None

    def _skip_token(self, kind: str, start: int, end: int) -> int:
        """The position where to continue after a token inside a statement."""
        match kind:
            case "quote":
                return self._quote_end(start)
            case "dollar":
                return self._find(bytes(self._buffer[start:end]), end)
            case "line":
                return self._find(b"\n", end, at_end=True)
            case "block":
                return self._block_end(end)
            case "paren":
                opens = self._buffer.startswith(b"(", start)
                self._depth = max(0, self._depth + (1 if opens else -1))
            case "word":
                head = bytes(self._buffer[:_LOOKAHEAD_BYTES]).lstrip()
                word = bytes(self._buffer[start:end]).lower()
                if self._depth == 0 and _ROUTINE.match(head) and (word == b"begin" or self._bodies):
                    self._bodies = max(0, self._bodies + (-1 if word == b"end" else 1))
            case "meta":
                raise EvidenceMissing(f"a backslash inside a statement: {self._head()}")
            case _:  # a semicolon inside parentheses or a body
                pass
        return end

    def _quote_end(self, start: int) -> int:
        """The end of a string or quoted name.

        A doubled quote closes and opens again, which only matters in strings with escapes.
        """
        quote = bytes(self._buffer[start : start + 1])
        before = bytes(self._buffer[max(0, start - 2) : start])
        position = start + 1
        if quote != b"'" or not (self.escapes or _ESCAPED.search(before)):
            return self._find(quote, position)
        while True:
            while len(self._buffer) - position < 2 and self._fill():
                pass
            char = bytes(self._buffer[position : position + 1])
            following = bytes(self._buffer[position + 1 : position + 2])
            if not char:
                raise EvidenceMissing(f"a string is never closed: {self._head()}")
            if char == b"'" and following != b"'":
                return position + 1
            if char in (b"\\", b"'"):
                position += 2
            else:
                special = _ESCAPE_OR_QUOTE.search(self._buffer, position)
                position = special.start() if special is not None else len(self._buffer)

    def _block_end(self, position: int) -> int:
        """Block comments nest."""
        depth = 1
        while depth:
            opening = self._buffer.find(b"/*", position)
            closing = self._buffer.find(b"*/", position)
            if closing < 0:
                position = max(position, len(self._buffer) - 1) if opening < 0 else position
                if not self._fill():
                    raise EvidenceMissing(f"a comment is never closed: {self._head()}")
            elif 0 <= opening < closing:
                depth, position = depth + 1, opening + 2
            else:
                depth, position = depth - 1, closing + 2
        return position

    def _find(self, needle: bytes, position: int, *, at_end: bool = False) -> int:
        """The position behind the next `needle`; `at_end`: the end of the file does as well."""
        while True:
            index = self._buffer.find(needle, position)
            if index >= 0:
                return index + len(needle)
            position = max(position, len(self._buffer) - len(needle) + 1)
            if not self._fill():
                if at_end:
                    return len(self._buffer)
                raise EvidenceMissing(f"the file ends inside {self._head()}")
