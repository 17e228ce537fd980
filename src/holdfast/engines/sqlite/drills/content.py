"""Reads what a dump holds of each table, so that two dumps can be compared.

Rows are compared as the literals that the dump writes, one row a line; how many rows a statement
has does not matter. Shadow tables of virtual tables count as the tables they are, and so do
`sqlite_sequence` and `sqlite_stat1`. Not compared: definitions and generated columns.
"""

import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping

from holdfast.contracts.drills import Content
from holdfast.contracts.engine import Member
from holdfast.domain.errors import EvidenceMissing, NotSupported
from holdfast.engines.row_digests import RowDigest, contents
from holdfast.engines.sqlite.dump import script
from holdfast.engines.sqlite.dump.dump import MEMBER

_NAME = rb'"(?:[^"]|"")*+"'
_HEAD = re.compile(
    rb"INSERT INTO (" + _NAME + rb")\((?:" + _NAME + rb"|\w+)(?:," + _NAME + rb")*+\) VALUES\n\("
)
_INSERT = b"INSERT INTO "
_ROW_SEPARATOR, _END_OF_ROWS = b"),\n(", b");\n"


def content(member: Member, plain: Iterator[bytes]) -> Mapping[str, Content]:
    """EvidenceMissing when the dump is damaged, NotSupported for a file of another tool."""
    if member.format != MEMBER.format:
        raise NotSupported(
            "the content of imported files cannot be compared: their text may differ for equal"
            " values"
        )
    reader = _DumpReader(plain)
    reader.read()
    return contents(reader.digests)


class _DumpReader:
    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._text = bytearray()
        self.digests: defaultdict[str, RowDigest] = defaultdict(RowDigest)

    def read(self) -> None:
        last = b""
        while self._text or self.pull():
            while len(self._text) < len(_INSERT) and self.pull():
                pass
            head = self.head() if self._text.startswith(_INSERT) else None
            if head is None:
                last = self.statement()
            else:
                quoted = head[1][1:-1].replace(b'""', b'"')
                table = quoted.decode(errors="backslashreplace")
                del self._text[: head.end()]
                self.rows(self.digests[table])
        if last != script.LAST.encode():
            raise EvidenceMissing("the dump does not end with COMMIT")

    def pull(self) -> bool:
        chunk = next(self._chunks, None)
        self._text += chunk or b""
        return chunk is not None

    def head(self) -> re.Match[bytes] | None:
        """The beginning of rows. A name may hold line ends, so it may end in any later chunk."""
        while (head := _HEAD.match(self._text)) is None and self.pull():
            pass
        return head

    def rows(self, digest: RowDigest) -> None:
        """Values hold no line ends, so each line end ends a row."""
        searched = 0
        while True:
            end = self._text.find(_END_OF_ROWS, searched)
            whole = end if end >= 0 else self._text.rfind(_ROW_SEPARATOR, searched)
            if whole >= 0:
                digest.add(bytes(self._text[:whole]).split(_ROW_SEPARATOR))
                del self._text[: whole + len(_END_OF_ROWS if end >= 0 else _ROW_SEPARATOR)]
            if end >= 0:
                return
            searched = 0 if whole >= 0 else max(0, len(self._text) - len(_ROW_SEPARATOR))
            if not self.pull():
                raise EvidenceMissing("the dump ends within the rows of a table")

    def statement(self) -> bytes:
        """Takes a statement that has no rows; it ends where SQLite calls it complete."""
        start = 0
        while True:
            line_end = self._text.find(b"\n", start)
            if line_end < 0:
                start = len(self._text)
                if not self.pull():
                    raise EvidenceMissing("the dump ends in the middle of a statement")
                continue
            start = line_end + 1
            statement = bytes(self._text[:start])
            if statement.rstrip().endswith(b";") and sqlite3.complete_statement(
                statement.decode(errors="replace")
            ):
                del self._text[:start]
                return statement
