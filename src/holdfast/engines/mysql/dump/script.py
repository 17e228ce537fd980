"""Splits a dump script into statements, as a stream.

Rows come as INSERT statements without raw line feeds inside values, so their end is found fast;
everything else is read token by token. Should our reading differ from the server's, the server gets
one incomplete statement and refuses it, because statements are sent one by one.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

from holdfast.domain.errors import EvidenceMissing

MAX_STATEMENT_BYTES = 1 << 30
"""The longest statement that any server takes."""

_ROW_STATEMENTS = (b"INSERT INTO ", b"INSERT  IGNORE INTO ", b"REPLACE INTO ")
_SANDBOX = (b"/*M!999999\\-", b"/*!999999\\-")
_SPACE = b" \t\r\n"
_MODE_BYTES = 1024  # longer than all names of modes together
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
_NO_BACKSLASHES = b"NO_BACKSLASH_ESCAPES"


_TABLE = b"CREATE TABLE `"
_END_OF_COLUMNS = b"\n) "
_FOREIGN_KEY = re.compile(
    rb"^(  CONSTRAINT `)(.*)(` FOREIGN KEY \(`)(.*)"
    rb"(`\) REFERENCES (?:`(?:[^`]|``)*`\.)?`(?:[^`]|``)*` \(`)(.*)(`\)(?: ON [A-Z ]+)?,?)$",
    re.MULTILINE,
)


def with_mended_keys(definition: bytes) -> bytes:
    """Doubles backticks in names of foreign keys, which MariaDB before 11 shows undoubled."""

    def doubled(match: re.Match[bytes]) -> bytes:
        parts = list(match.groups())
        for index in (1, 3, 5):  # some names may have doubled backticks already
            names = (name.replace(b"``", b"`") for name in parts[index].split(b"`, `"))
            parts[index] = b"`, `".join(name.replace(b"`", b"``") for name in names)
        return b"".join(parts)

    return _FOREIGN_KEY.sub(doubled, definition)


def statements(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yields each statement without its delimiter, without comments and DELIMITER lines.

    EvidenceMissing when the script ends inside a statement.
    """
    return _Splitter(chunks).run()


class _Splitter:
    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._text = bytearray()
        self._position = 0
        self._delimiter = b";"
        self._quoted = _QUOTED
        self._more = True

    def run(self) -> Iterator[bytes]:
        while self.skip():
            if self.line_command():
                continue
            end = self.end_of_statement()
            statement = bytes(memoryview(self._text)[self._position : end]).rstrip()
            self._position = end + len(self._delimiter)
            # Definitions are written in their own sql_mode, which the script sets before them.
            mode = _MODE.match(statement[:_MODE_BYTES])
            if mode is not None:
                self._quoted = _QUOTED_PLAIN if _NO_BACKSLASHES in mode[1].upper() else _QUOTED
            if statement:
                yield statement

    def pull(self) -> bool:
        """Appends the next chunk; False when there is none."""
        if self._position:
            del self._text[: self._position]
            self._position = 0
        if len(self._text) > MAX_STATEMENT_BYTES:
            raise EvidenceMissing("the script holds a statement that is too long")
        chunk = next(self._chunks, None) if self._more else None
        if chunk is None:
            self._more = False
            return False
        self._text += chunk
        return True

    def skip(self) -> bool:
        """Moves to the beginning of the next statement; False at the end."""
        while True:
            while self._position < len(self._text) and self._text[self._position] in _SPACE:
                self._position += 1
            if self._position < len(self._text):
                return True
            if not self.pull():
                return False

    def line_command(self) -> bool:
        """Reads a comment or a DELIMITER line, which are not for the server; False for neither."""
        while len(self._text) - self._position < 16 and self.pull():
            pass
        head = bytes(self._text[self._position : self._position + 16])
        comment = head.startswith((b"-- ", b"--\n", b"--\r", b"#", *_SANDBOX)) or head == b"--"
        if not comment and head[:10].upper() not in (b"DELIMITER ", b"DELIMITER\t"):
            return False
        while (end := self._text.find(b"\n", self._position)) < 0:
            if not self.pull():
                end = len(self._text)
                break
        line = bytes(self._text[self._position : end])
        self._position = end
        if not comment:
            self._delimiter = line[10:].strip()
            if not self._delimiter:
                raise EvidenceMissing("the script sets an empty delimiter")
        return True

    def end_of_statement(self) -> int:
        """The position of the delimiter of the statement that begins here."""
        if self._delimiter == b";" and self._text.startswith(_ROW_STATEMENTS, self._position):
            return self.end_of_rows()
        if self._text.startswith(_TABLE, self._position):
            while (end := self._text.find(_END_OF_COLUMNS, self._position)) < 0 and self.pull():
                pass
            shown = bytes(self._text[self._position : end]) if end >= 0 else b""
            if b" FOREIGN KEY (" in shown:
                self._text[self._position : end] = with_mended_keys(shown)
        searched = self._position
        while True:
            end = self.find_delimiter(searched)
            if end is not None:
                return end
            if not self.pull():
                raise EvidenceMissing("the script ends inside a statement")
            searched = self._position  # definitions are small: search again from the beginning

    def end_of_rows(self) -> int:
        searched = self._position
        while (match := _END_OF_ROWS.search(self._text, searched)) is None:
            seen_bytes = len(self._text) - self._position
            if not self.pull():
                if self._text.endswith(b";"):
                    return len(self._text) - 1
                raise EvidenceMissing("the script ends inside a statement")
            searched = self._position + max(seen_bytes - 2, 0)
        return match.start()

    def find_delimiter(self, at: int) -> int | None:
        """The next delimiter outside of quotes and comments; None when more text is needed."""
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
    """The first `most` tokens as (kind, text); kinds are string, name, word and mark.

    The content of an executable comment counts, because the server executes it.
    """
    result: list[tuple[str, str]] = []
    for match in TOKEN.finditer(statement):
        kind = str(match.lastgroup)
        if kind != "space":
            result.append((kind, match.group().decode("utf-8", "surrogateescape")))
            if len(result) == most:
                break
    return result


_OTHER_LOCATIONS = re.compile(
    rb"""'(?:[^'\\]|\\.|'')*+'|"(?:[^"\\]|\\.|"")*+"|`(?:[^`]|``)*+`"""
    rb"""|(?P<elsewhere>\b(?:DATA|INDEX)\s+DIRECTORY\s*=?\s*'(?:[^'\\]|\\.|'')*+'"""
    rb"""|\bTABLESPACE\s*=?\s*(?:`(?:[^`]|``)*+`|\w+))"""
    rb"""|(?P<before>\bREFERENCES\s+|\b(?:next|last|set)val\(\s*)(?P<database>`(?:[^`]|``)*+`)\.""",
    re.DOTALL | re.IGNORECASE,
)


def redirect_table(statement: bytes, names: dict[bytes, bytes]) -> bytes:
    """A CREATE TABLE whose foreign keys and sequences refer to other databases (quoted names).

    Its files become its own, in the data directory. EvidenceMissing when it asks for another
    directory in a way that no stock tool writes.
    """

    def replace(match: re.Match[bytes]) -> bytes:
        if match["elsewhere"] is not None:
            return b" "
        database = match["database"]
        if database is None:
            return match.group()
        return match["before"] + names.get(database, database) + b"."

    result = _OTHER_LOCATIONS.sub(replace, statement)
    words = [text.upper() for _, text in tokens(result, MAX_STATEMENT_BYTES)]
    if any(pair in _DIRECTORIES for pair in pairwise(words)):
        raise EvidenceMissing("a table asks for a directory of its own")
    return result


def redirect_view(statement: bytes, names: dict[bytes, bytes]) -> bytes:
    """A view's definition that refers to other databases (quoted names)."""

    def replace(match: re.Match[bytes]) -> bytes:
        qualifier = match["database"]
        return match.group() if qualifier is None else names.get(qualifier, qualifier) + b"."

    return _QUALIFIER.sub(replace, statement)


_QUALIFIER = re.compile(
    rb"""'(?:[^'\\]|\\.|'')*+'|(?P<database>`(?:[^`]|``)*+`)\.(?=`)|`(?:[^`]|``)*+`""", re.DOTALL
)


def with_row_format(statement: bytes) -> bytes:
    """A CREATE TABLE of InnoDB that states the default row format, unless it states another."""
    words = [
        text.upper() for kind, text in tokens(statement, MAX_STATEMENT_BYTES) if kind == "word"
    ]
    if "ROW_FORMAT" in words:
        return statement
    return _INNODB_ENGINE.sub(
        lambda match: match.group() + _DEFAULT_ROW_FORMAT * bool(match["engine"]), statement
    )


_DEFAULT_ROW_FORMAT = b" ROW_FORMAT=DYNAMIC"
_INNODB_ENGINE = re.compile(
    rb"""'(?:[^'\\]|\\.|'')*+'|`(?:[^`]|``)*+`|(?P<engine>\bENGINE=InnoDB\b)""", re.DOTALL
)

_DIRECTORIES = (("DATA", "DIRECTORY"), ("INDEX", "DIRECTORY"))

_HEX_VALUE = re.compile(
    rb"""'(?:[^'\\]|\\.|'')*+'|`(?:[^`]|``)*+`|\b0x(?P<digits>[0-9A-Fa-f]{128,}+)\b""", re.DOTALL
)


def with_binary_values(rows: bytes) -> bytes:
    """An INSERT whose long binary values are written as they are, not as hexadecimal digits.

    That halves its length, so that a row that a server once took fits into a packet again. For
    sessions in which a backslash escapes.
    """

    def replace(match: re.Match[bytes]) -> bytes:
        digits = match["digits"]
        if digits is None or len(digits) % 2:
            return match.group()
        value = bytes.fromhex(digits.decode()).replace(b"\\", b"\\\\").replace(b"'", b"\\'")
        return b"_binary'" + value + b"'"

    return _HEX_VALUE.sub(replace, rows)
