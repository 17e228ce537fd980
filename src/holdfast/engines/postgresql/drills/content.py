"""Reads what an archive holds of each table, so that two archives can be compared.

The stock tool turns the archive into its script. Rows are compared as the text that COPY writes,
which is the same for equal values but for what a session sets: see `_in_utc` and `_digits`.

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
from holdfast.domain.errors import EvidenceMissing, NotSupported
from holdfast.engines.postgresql.client.tools import ToolSet
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
_CREATE = re.compile(
    rf"CREATE\s+(?:UNLOGGED\s+|FOREIGN\s+)?TABLE\s+{_TABLE_NAME}\s", re.IGNORECASE
)
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
    with survey.script(tools, member, plain) as script:
        reader = _ArchiveReader(script)
        reader.read()
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
            if isinstance(item, Statement) and self._read_large_object(item.text):
                continue
            self._state.follow(item, self._script)
            match item:
                case Statement(text):
                    self._read_statement(self._state.text(text[:_MAX_HEAD_CHARACTERS]))
                case CopyRows(text, chunks):
                    self._read_rows(self._state.text(text), chunks)
                case _:
                    pass

    def _read_statement(self, text: str) -> None:
        if match := _CREATE.match(text):
            name = self._name(match)
            columns = frozenset(_bare(column) for column in _MONEY.findall(text))
            self._definitions[name] = _Definition(_CHILD.search(text) is not None, columns)
            if partition := _PARTITION_OF.match(text, match.end() - 1):
                self._above[name] = self._name(partition)
        elif match := _ATTACH.match(text):
            self._above[self._name(match, 5)] = self._name(match)
        elif match := _SETVAL.match(text):
            sequence = _QUALIFIED.match(match[1].replace("''", "'"))
            if sequence is None:
                raise EvidenceMissing(f"the archive sets an unknown sequence: {text[:200]}")
            self._digests[".".join(self._name(sequence))].add([match[2].encode()])
        elif match := _INSERT.match(text):
            table = ".".join(self._name(match))
            raise NotSupported(
                f"rows of {table} come as INSERT, whose text may differ for equal values: only"
                " dumps with COPY can be compared"
            )

    def _name(self, match: re.Match[str], group: int = 1) -> Name:
        return unquoted(match, group) or self._state.schema, unquoted(match, group + 2)

    def _read_rows(self, copy: str, chunks: Iterator[bytes]) -> None:
        match = _COPY.match(copy)
        if match is None:
            raise EvidenceMissing(f"the archive holds rows of no table that is known: {copy[:200]}")
        name = self._name(match)
        columns = [_bare(column) for column in _COLUMN.findall(match[5] or "")]
        convert = self._converter(name, columns)
        digest = self._digests[".".join(self._root(name))]
        for chunk in chunks:
            rows = _in_utc(chunk).split(b"\n")
            rows.pop()  # nothing follows the last line end
            digest.add(rows if convert is None else map(convert, rows))

    def _root(self, name: Name) -> Name:
        while name in self._above:
            name = self._above[name]
        return name

    def _converter(self, name: Name, columns: Sequence[str]) -> Callable[[bytes], bytes] | None:
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
                fields[index] = _digits(fields[index])
            return b"\t".join(fields if in_order is None else in_order(fields))

        return convert

    def _read_large_object(self, text: bytes) -> bool:
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


def _digits(amount: bytes) -> bytes:
    """An amount of money without what `lc_monetary` adds: separators, signs of currencies."""
    if amount == rb"\N":
        return amount
    negative = b"-" in amount or b"(" in amount
    return b"-" * negative + b"".join(_DIGITS.findall(amount))


_DIGITS = re.compile(rb"\d+")

_SEEMS_SHIFTED = re.compile(rb":\d\d(?:\.\d+)?[+-](?!00(?![:\d]))\d\d")
"""An offset other than `+00`. It begins with a colon, which is found fast."""
_TIMESTAMP = re.compile(
    rb"(?<!\d)(\d{4,6})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)((?:\.\d+)?)"
    rb"([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?(?![\d:])( BC)?"
)


def _in_utc(chunk: bytes) -> bytes:
    """Rows in which each timestamp with an offset is written in UTC.

    Its text depends on the TimeZone of the session that dumps. Dumps of today are made in UTC;
    earlier ones in that of the server. Text that looks like a timestamp is treated alike.
    """
    if _SEEMS_SHIFTED.search(chunk) is None:
        return chunk
    return _TIMESTAMP.sub(_shifted, chunk)


def _shifted(match: re.Match[bytes]) -> bytes:
    year, month, day, hour, minute, second = (int(match[group]) for group in range(1, 7))
    hours, minutes, seconds = (int(match[group] or 0) for group in (9, 10, 11))
    offset = hours * 3600 + minutes * 60 + seconds
    if match[12]:
        year = 1 - year
    instant = hour * 3600 + minute * 60 + second + (-offset if match[8] == b"+" else offset)
    days, instant = divmod(instant, 86_400)
    year, month, day = _moved(year, month, day, days)
    era = b" BC" if year < 1 else b""
    date = b"%04d-%02d-%02d" % (1 - year if year < 1 else year, month, day)
    clock = b"%02d:%02d:%02d" % (instant // 3600, instant // 60 % 60, instant % 60)
    return b"%b %b%b+00%b" % (date, clock, match[7], era)


def _moved(year: int, month: int, day: int, days: int) -> tuple[int, int, int]:
    """The date that lies -1, 0 or 1 days later. Years are not limited to those of `datetime`."""
    day += days
    if day < 1:
        year, month = (year - 1, 12) if month == 1 else (year, month - 1)
        return year, month, _month_days(year, month)
    if day > _month_days(year, month):
        return (year + 1, 1, 1) if month == 12 else (year, month + 1, 1)
    return year, month, day


def _month_days(year: int, month: int) -> int:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 29 if month == 2 and leap else _MONTH_DAYS[month - 1]


_MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
