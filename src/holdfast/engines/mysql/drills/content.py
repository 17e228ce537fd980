"""Reads what a script holds of each table, so that two scripts can be compared.

Rows are compared as the stock tool writes them. It sets its session so that equal values have equal
text: instants in UTC, binary values as hexadecimal digits, text as utf8mb4 with line ends escaped.
How many rows an INSERT has, and the line ends between them, do not matter.

Names are `database.table`, because one script holds all databases. A sequence is a table of one
row. Not compared: definitions, and rows that are elsewhere (FEDERATED and the like).
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from holdfast.contracts.drills import Content
from holdfast.contracts.engine import Member
from holdfast.domain.errors import EvidenceMissing, NotSupported
from holdfast.engines.mysql.client.object_names import plain_name
from holdfast.engines.mysql.dump import archive
from holdfast.engines.mysql.dump.script import statements
from holdfast.engines.row_digests import RowDigest, contents

_NAME = rb"`((?:[^`]|``)+)`"
_USE = re.compile(rb"USE " + _NAME)
_COLUMNS = rb"\((?:(?:`(?:[^`]|``)+`|\w+)(?:, )?)+\)"
_INSERT = re.compile(rb"INSERT INTO " + _NAME + rb"(?: " + _COLUMNS + rb")? VALUES\s")
_SETVAL = re.compile(rb"(?:SELECT|DO) SETVAL\(" + _NAME + rb", (.*)\)", re.IGNORECASE)
_ROW_LINES = b"),\n("
_ROW = re.compile(
    rb"\(((?:[^'()]++|'(?:[^'\\]++|\\.|'')*+')*+)\)(?:,|\Z)",
    re.DOTALL,
)


def content(member: Member, plain: Iterator[bytes]) -> Mapping[str, Content]:
    """EvidenceMissing when the member is damaged, NotSupported for a file of another tool."""
    if member.format == archive.ACCOUNTS:
        archive.examine(member, plain)
        return {}
    if member.format != archive.SCRIPT:
        raise NotSupported(
            "the content of imported scripts cannot be compared: their text may differ for equal"
            " values"
        )
    digests: defaultdict[str, RowDigest] = defaultdict(RowDigest)
    scan = archive.Scan()

    def watched() -> Iterator[bytes]:
        for chunk in plain:
            scan.feed(chunk)
            yield chunk

    database = ""
    for statement in statements(watched()):
        if match := _INSERT.match(statement):
            digests[_dotted(database, match[1])].add(_rows(statement, match.end()))
        elif match := _USE.fullmatch(statement):
            database = plain_name(_text(match[1]))
        elif match := _SETVAL.fullmatch(statement):
            digests[_dotted(database, match[1])].add([match[2]])
    problem = scan.problem()
    if problem is not None:
        raise EvidenceMissing(f"{member.name}: {problem}")
    return contents(digests)


def _dotted(database: str, table: bytes) -> str:
    return f"{database}.{_text(table)}"


def _text(name: bytes) -> str:
    return name.replace(b"``", b"`").decode(errors="backslashreplace")


def _rows(statement: bytes, start: int) -> Sequence[bytes]:
    """The values of each row, without parentheses. MariaDB writes each row as one line; MySQL none,
    and values hold no line ends."""
    if statement.find(b"\n", start - 1) >= 0:
        return statement[start + 1 : -1].split(_ROW_LINES)
    rows: Sequence[bytes] = _ROW.findall(statement, start)
    # Each row but for its values is `(),`; the last one has no comma.
    if sum(map(len, rows)) + 3 * len(rows) - 1 != len(statement) - start:
        raise EvidenceMissing(f"rows that cannot be read: {statement[:80]!r}")
    return rows
