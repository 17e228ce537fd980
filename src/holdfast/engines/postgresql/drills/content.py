"""Reads what an archive holds of each table, so that two archives can be compared.

The stock tool turns the archive into its script. Rows are compared as the text that COPY writes,
which is the same for equal values but for what a session sets: see `value_texts`.

- Partitions are reported together, under the name of their partitioned table: after a restore a
  row may lie in another partition.
- Tables with the same dotted name are added up, as in the inventory.
- The columns of a partition or of a child are taken in the order of their names: a restored child
  has its parent's columns first, whatever its own order was.
- A sequence is a table of one row. All large objects together are the table `large objects`.
- Not compared: definitions, and what the server derives: materialised views and generated columns.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from operator import itemgetter

from holdfast.contracts.drills import Content
from holdfast.contracts.engine import Member
from holdfast.domain.errors import ChildFailed, EvidenceMissing, NotSupported
from holdfast.engines.postgresql.client.tools import ToolSet
from holdfast.engines.postgresql.drills.value_texts import digits, in_utc
from holdfast.engines.postgresql.dump import archive
from holdfast.engines.postgresql.dump.script import CopyRows, Script, Statement
from holdfast.engines.postgresql.imports import survey
from holdfast.engines.postgresql.imports.script_state import ScriptState, unquoted
from holdfast.engines.postgresql.imports.statement_filter import NAME
from holdfast.engines.row_digests import RowDigest, contents

LARGE_OBJECTS = "large objects"

Name = tuple[str, str]
"""Schema and table."""

_TABLE_NAME = rf"(?:{NAME}\.)?{NAME}"
_COPY = re.compile(rf"COPY\s+{_TABLE_NAME}\s*(?:\((.*)\))?\s*FROM\s+stdin\s*$", re.DOTALL)
_COLUMN = re.compile(r'"(?:[^"]|"")*"|[^\s,()"]+')
_CREATE = re.compile(rf"CREATE\s+(?:UNLOGGED\s+|FOREIGN\s+)?TABLE\s+{_TABLE_NAME}\s", re.IGNORECASE)
_MONEY = re.compile(r'^\s+("(?:[^"]|"")*"|[^\s"]+) money\b', re.MULTILINE)
_CHILD = re.compile(r"\)\s*INHERITS\s*\(", re.IGNORECASE)
_ATTACH = re.compile(
    rf"ALTER\s+TABLE\s+(?:ONLY\s+)?{_TABLE_NAME}\s+ATTACH\s+PARTITION\s+{_TABLE_NAME}\s",
    re.IGNORECASE,
)
_PARTITION_OF = re.compile(rf"\s*PARTITION\s+OF\s+{_TABLE_NAME}", re.IGNORECASE)
_SETVAL = re.compile(
    r"SELECT\s+pg_catalog\.setval\('((?:[^']|'')*)',\s*(.*)\)\s*$", re.IGNORECASE | re.DOTALL
)
_QUALIFIED = re.compile(rf"{_TABLE_NAME}$", re.IGNORECASE)
_LARGE_OBJECT = re.compile(
    rb"SELECT\s+pg_catalog\.(?:(?P<open>lo_open)\('(?P<oid>\d+)'"
    rb"|(?P<write>lowrite)\(\d+, '(?P<data>[^']*)'|(?P<close>lo_close)\()"
)
_INSERT = re.compile(rf"INSERT\s+INTO\s+{_TABLE_NAME}", re.IGNORECASE)
_MAX_HEAD_CHARACTERS = 1 << 20


def content(tools: ToolSet, member: Member, plain: Iterator[bytes]) -> Mapping[str, Content]:
    """EvidenceMissing when the member is damaged, NotSupported where rows come as INSERT."""
    if member.format == archive.GLOBALS:
        archive.examine(tools, member, plain)
        return {}
    if member.format == survey.CLUSTER:
        raise NotSupported("the content of a dump of a whole cluster cannot be compared")
    try:
        with survey.script(tools, member, plain) as script:
            reader = _ArchiveReader(script)
            reader.read()
    except ChildFailed as error:
        raise EvidenceMissing(f"{member.name} cannot be read: {error.message}") from error
    return reader.contents()


@dataclass
class _Definition:
    """What a table's definition says of how its rows are compared."""

    is_child: bool
    money: frozenset[str]


class _ArchiveReader:
    def __init__(self, script: Script) -> None:
        self._script = script
        self._state = ScriptState()
        self._definitions: dict[Name, _Definition] = {}
        self._above: dict[Name, Name] = {}
        self._digests: defaultdict[str, RowDigest] = defaultdict(RowDigest)
        self._large_object: _LargeObject | None = None

    def contents(self) -> Mapping[str, Content]:
        return contents(self._digests)

    def read(self) -> None:
        for item in self._script.items():
            if isinstance(item, Statement) and self.read_large_object(item.text):
                continue
            self._state.follow(item, self._script)
            match item:
                case Statement(text):
                    self.read_statement(self._state.text(text[:_MAX_HEAD_CHARACTERS]))
                case CopyRows(text, chunks):
                    self.read_rows(self._state.text(text), chunks)
                case _:
                    pass

    def read_statement(self, text: str) -> None:
        if match := _CREATE.match(text):
            name = self.name(match)
            columns = frozenset(_bare(column) for column in _MONEY.findall(text))
            self._definitions[name] = _Definition(_CHILD.search(text) is not None, columns)
            if partition := _PARTITION_OF.match(text, match.end() - 1):
                self._above[name] = self.name(partition)
        elif match := _ATTACH.match(text):
            self._above[self.name(match, 5)] = self.name(match)
        elif match := _SETVAL.match(text):
            sequence = _QUALIFIED.match(match[1].replace("''", "'"))
            if sequence is None:
                raise EvidenceMissing(f"the archive sets an unknown sequence: {text[:200]}")
            self._digests[".".join(self.name(sequence))].add([match[2].encode()])
        elif match := _INSERT.match(text):
            table = ".".join(self.name(match))
            raise NotSupported(
                f"rows of {table} come as INSERT, whose text may differ for equal values: only"
                " dumps with COPY can be compared"
            )

    def name(self, match: re.Match[str], group: int = 1) -> Name:
        return unquoted(match, group) or self._state.schema, unquoted(match, group + 2)

    def read_rows(self, copy: str, chunks: Iterator[bytes]) -> None:
        match = _COPY.match(copy)
        if match is None:
            raise EvidenceMissing(f"the archive holds rows of no table that is known: {copy[:200]}")
        name = self.name(match)
        columns = [_bare(column) for column in _COLUMN.findall(match[5] or "")]
        convert = self.converter(name, columns)
        digest = self._digests[".".join(self.root(name))]
        for chunk in chunks:
            rows = in_utc(chunk).split(b"\n")
            rows.pop()  # nothing follows the last line end
            digest.add(rows if convert is None else map(convert, rows))

    def root(self, name: Name) -> Name:
        while name in self._above:
            name = self._above[name]
        return name

    def converter(self, name: Name, columns: Sequence[str]) -> Callable[[bytes], bytes] | None:
        """How a row becomes what is compared; None: it is compared as it is."""
        definition = self._definitions.get(name, _Definition(False, frozenset()))
        sorts = (definition.is_child or name in self._above) and list(columns) != sorted(columns)
        money = [index for index, column in enumerate(columns) if column in definition.money]
        if not sorts and not money:
            return None
        order = sorted(range(len(columns)), key=columns.__getitem__) if sorts else None
        in_order = itemgetter(*order) if order is not None else None

        def convert(row: bytes) -> bytes:
            fields = row.split(b"\t")
            for index in money:
                fields[index] = digits(fields[index])
            return b"\t".join(fields if in_order is None else in_order(fields))

        return convert

    def read_large_object(self, text: bytes) -> bool:
        match = _LARGE_OBJECT.match(text)
        if match is None:
            return False
        if match["open"]:
            self._large_object = _LargeObject(match["oid"])
        elif self._large_object is None:
            raise EvidenceMissing("the archive writes to a large object that it has not opened")
        elif match["write"]:
            self._large_object.write(match["data"])
        else:
            self._digests[LARGE_OBJECTS].add([self._large_object.row()])
            self._large_object = None
        return True


class _LargeObject:
    """One large object while its content passes; how it is cut into pieces does not matter."""

    def __init__(self, oid: bytes) -> None:
        self._oid = oid
        self._digest = blake2b()

    def write(self, data: bytes) -> None:
        # Text is as pg_restore writes it: hexadecimal, after one or two backslashes.
        self._digest.update(data.lstrip(b"\\").removeprefix(b"x"))

    def row(self) -> bytes:
        return self._oid + b" " + self._digest.digest()


def _bare(column: str) -> str:
    return column[1:-1].replace('""', '"') if column.startswith('"') else column
