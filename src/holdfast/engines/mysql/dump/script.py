"""Takes a dump script apart into statements, as a stream and without running anything.

Rows come as INSERT statements that hold no raw line feed inside a value, so their end is found
fast; everything else is read token by token. Where our reading and the server's should differ, the
server sees one statement that is not whole and says so: statements are sent one by one.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

from holdfast.domain.errors import EvidenceMissing

LONGEST = 1 << 30
"""Bytes of one statement; what is larger no server takes."""

_ROWS = (b"INSERT INTO ", b"INSERT  IGNORE INTO ", b"REPLACE INTO ")
_SANDBOX = (b"/*M!999999\\-", b"/*!999999\\-")
_SPACE = b" \t\r\n"
_MODE_BYTES = 1024  # more than all names of modes together
_END_OF_ROWS = re.compile(rb";\r?\n")
_QUOTED = re.compile(
    rb"""'(?:[^'\\]|\\.|'')*+'|"(?:[^"\\]|\\.|"")*+"|`(?:[^`]|``)*+`"""
    rb"""|--(?=[\s])[^\n]*|\#[^\n]*|/\*(?!M?!).*?\*/""",
    re.DOTALL,
)
_QUOTED_PLAIN = re.compile(
    rb"""'(?:[^']|'')*+'|"(?:[^"]|"")*+"|`(?:[^`]|``)*+`"""
    rb"""|--(?=[\s])[^\n]*|\#[^\n]*|/\*(?!M?!).*?\*/""",
    re.DOTALL,
)
_OPENERS = re.compile(rb"""['"`#]|--(?=\s)|/\*(?!M?!)""")
_MODE = re.compile(rb"(?:/\*M?!\d*\s*)?SET\s+(?:SESSION\s+|@@)?sql_mode\s*=\s*(.*)", re.IGNORECASE)
_PLAIN = b"NO_BACKSLASH_ESCAPES"


_TABLE = b"CREATE TABLE `"
_END_OF_COLUMNS = b"\n) "
_KEY = re.compile(
    rb"^(  CONSTRAINT `)(.*)(` FOREIGN KEY \(`)(.*)"
    rb"(`\) REFERENCES (?:`(?:[^`]|``)*`\.)?`(?:[^`]|``)*` \(`)(.*)(`\)(?: ON [A-Z ]+)?,?)$",
    re.MULTILINE,
)


def with_mended_keys(definition: bytes) -> bytes:
    """MariaDB before 11 shows names in foreign keys without doubling their backticks."""
    return _KEY.sub(_mended, definition)


def _mended(match: re.Match[bytes]) -> bytes:
    """Each name with its backticks doubled once, whether they were or not."""
    parts = list(match.groups())
    for index in (1, 3, 5):
        names = (name.replace(b"``", b"`") for name in parts[index].split(b"`, `"))
        parts[index] = b"`, `".join(name.replace(b"`", b"``") for name in names)
    return b"".join(parts)


def statements(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Each statement without its delimiter; comments and DELIMITER lines are left out.

    EvidenceMissing when the script ends inside a statement.
    """
    return _Splitter(chunks).run()


class _Splitter:
    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._text = bytearray()
        self._at = 0
        self._delimiter = b";"
        self._quoted = _QUOTED
        self._more = True

    def run(self) -> Iterator[bytes]:
        while self._skip():
            if self._line_command():
                continue
            end = self._end()
            statement = bytes(memoryview(self._text)[self._at : end]).rstrip()
            self._at = end + len(self._delimiter)
            self._follow_mode(statement[:_MODE_BYTES])
            if statement:
                yield statement

    def _follow_mode(self, statement: bytes) -> None:
        """Definitions are written in the sql_mode they were made in; a script says it before."""
        mode = _MODE.match(statement)
        if mode is not None:
            self._quoted = _QUOTED_PLAIN if _PLAIN in mode[1].upper() else _QUOTED

    def _pull(self) -> bool:
        """More text, if there is any."""
        if self._at:
            del self._text[: self._at]
            self._at = 0
        if len(self._text) > LONGEST:
            raise EvidenceMissing("the script holds a statement that is too long")
        chunk = next(self._chunks, None) if self._more else None
        if chunk is None:
            self._more = False
            return False
        self._text += chunk
        return True

    def _skip(self) -> bool:
        """Goes to where the next statement begins; False at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._text):
                return True
            if not self._pull():
                return False

    def _line(self) -> bytes:
        """The line from here, without its end."""
        while (end := self._text.find(b"\n", self._at)) < 0:
            if not self._pull():
                end = len(self._text)
                break
        return bytes(self._text[self._at : end])

    def _line_command(self) -> bool:
        """Comments and what only a client understands: each takes a line."""
        while len(self._text) - self._at < 16 and self._pull():
            pass
        head = bytes(self._text[self._at : self._at + 16])
        comment = head.startswith((b"-- ", b"--\n", b"--\r", b"#", *_SANDBOX)) or head == b"--"
        if not comment and head[:10].upper() not in (b"DELIMITER ", b"DELIMITER\t"):
            return False
        line = self._line()
        self._at += len(line)
        if not comment:
            self._delimiter = line[10:].strip()
            if not self._delimiter:
                raise EvidenceMissing("the script sets an empty delimiter")
        return True

    def _end(self) -> int:
        """Where the delimiter of the statement that begins here is."""
        if self._delimiter == b";" and self._text.startswith(_ROWS, self._at):
            return self._end_of_rows()
        if self._text.startswith(_TABLE, self._at):
            self._mend_keys()
        searched = self._at
        while True:
            end = self._find(searched)
            if end is not None:
                return end
            if not self._pull():
                raise EvidenceMissing("the script ends inside a statement")
            searched = self._at  # schema statements are small: read again from the beginning

    def _mend_keys(self) -> None:
        while (end := self._text.find(_END_OF_COLUMNS, self._at)) < 0 and self._pull():
            pass
        shown = bytes(self._text[self._at : end]) if end >= 0 else b""
        if b" FOREIGN KEY (" in shown:
            self._text[self._at : end] = with_mended_keys(shown)

    def _end_of_rows(self) -> int:
        searched = self._at
        while (match := _END_OF_ROWS.search(self._text, searched)) is None:
            seen_bytes = len(self._text) - self._at
            if not self._pull():
                if self._text.endswith(b";"):
                    return len(self._text) - 1
                raise EvidenceMissing("the script ends inside a statement")
            searched = self._at + max(seen_bytes - 2, 0)
        return match.start()

    def _find(self, at: int) -> int | None:
        """The next delimiter outside of quotes and comments; None: not in what is here."""
        text = self._text
        while True:
            end = text.find(self._delimiter, at)
            opener = _OPENERS.search(text, at, end if end >= 0 else len(text))
            if opener is None:
                return end if end >= 0 else None
            quoted = self._quoted.match(text, opener.start())
            if quoted is None or (quoted.end() == len(text) and self._more):
                return None
            at = quoted.end()


TOKEN = re.compile(
    rb"""(?P<space>\s+|--(?=[\s])[^\n]*|\#[^\n]*|/\*M?!\d*|\*/|/\*(?!M?!).*?\*/)"""
    rb"""|(?P<string>'(?:[^'\\]|\\.|'')*+'|"(?:[^"\\]|\\.|"")*+")"""
    rb"""|(?P<name>`(?:[^`]|``)*+`)"""
    rb"""|(?P<word>[\w$@.\x80-\xff]+)|(?P<mark>.)""",
    re.DOTALL,
)


def tokens(statement: bytes, most: int = 64) -> list[tuple[str, str]]:
    """The first tokens as (kind, text); kinds are string, name, word and mark.

    What stands in an executable comment counts, because the server executes it.
    """
    result: list[tuple[str, str]] = []
    for match in TOKEN.finditer(statement):
        kind = str(match.lastgroup)
        if kind != "space":
            result.append((kind, match.group().decode("utf-8", "surrogateescape")))
            if len(result) == most:
                break
    return result


_PLACED = re.compile(
    rb"""'(?:[^'\\]|\\.|'')*+'|"(?:[^"\\]|\\.|"")*+"|`(?:[^`]|``)*+`"""
    rb"""|(?P<elsewhere>\b(?:DATA|INDEX)\s+DIRECTORY\s*=?\s*'(?:[^'\\]|\\.|'')*+'"""
    rb"""|\bTABLESPACE\s*=?\s*(?:`(?:[^`]|``)*+`|\w+))"""
    rb"""|(?P<before>\bREFERENCES\s+|\b(?:next|last|set)val\(\s*)(?P<database>`(?:[^`]|``)*+`)\.""",
    re.DOTALL | re.IGNORECASE,
)


def moved(statement: bytes, names: dict[bytes, bytes]) -> bytes:
    """A CREATE TABLE whose foreign keys and sequences are in other databases (quoted names), and
    whose files are its own and in the data directory.

    EvidenceMissing when it asks for another directory in a way that no stock tool does.
    """

    def replace(match: re.Match[bytes]) -> bytes:
        if match["elsewhere"] is not None:
            return b" "
        database = match["database"]
        if database is None:
            return match.group()
        return match["before"] + names.get(database, database) + b"."

    result = _PLACED.sub(replace, statement)
    words = [text.upper() for _, text in tokens(result, LONGEST)]
    if any(pair in _DIRECTORIES for pair in pairwise(words)):
        raise EvidenceMissing("a table asks for a directory of its own")
    return result


def relocated(statement: bytes, names: dict[bytes, bytes]) -> bytes:
    """A view's definition that looks into other databases (quoted names)."""

    def replace(match: re.Match[bytes]) -> bytes:
        qualifier = match["database"]
        return match.group() if qualifier is None else names.get(qualifier, qualifier) + b"."

    return _QUALIFIED.sub(replace, statement)


_QUALIFIED = re.compile(
    rb"""'(?:[^'\\]|\\.|'')*+'|(?P<database>`(?:[^`]|``)*+`)\.(?=`)|`(?:[^`]|``)*+`""", re.DOTALL
)


def with_row_format(statement: bytes) -> bytes:
    """A CREATE TABLE of InnoDB that says the row format which it would have by default."""
    words = [text.upper() for kind, text in tokens(statement, LONGEST) if kind == "word"]
    if "ROW_FORMAT" in words:
        return statement
    return _INNODB.sub(
        lambda match: match.group() + _USUAL_FORMAT * bool(match["engine"]), statement
    )


_USUAL_FORMAT = b" ROW_FORMAT=DYNAMIC"
_INNODB = re.compile(
    rb"""'(?:[^'\\]|\\.|'')*+'|`(?:[^`]|``)*+`|(?P<engine>\bENGINE=InnoDB\b)""", re.DOTALL
)

_DIRECTORIES = (("DATA", "DIRECTORY"), ("INDEX", "DIRECTORY"))

_DIGITS = re.compile(
    rb"""'(?:[^'\\]|\\.|'')*+'|`(?:[^`]|``)*+`|\b0x(?P<digits>[0-9A-Fa-f]{128,}+)\b""", re.DOTALL
)


def shortened(rows: bytes) -> bytes:
    """An INSERT with its long binary values as they are instead of as hexadecimal digits.

    That is half as long: a value that a server once took is one that it takes again. For sessions
    in which a backslash escapes.
    """

    def replace(match: re.Match[bytes]) -> bytes:
        digits = match["digits"]
        if digits is None or len(digits) % 2:
            return match.group()
        value = bytes.fromhex(digits.decode()).replace(b"\\", b"\\\\").replace(b"'", b"\\'")
        return b"_binary'" + value + b"'"

    return _DIGITS.sub(replace, rows)
