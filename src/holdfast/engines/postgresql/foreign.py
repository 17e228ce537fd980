"""Dumps that somebody else made: what they are, by their content, and whether they are whole.

Archives are turned into their script by the stock tool, so that all three formats are read and
loaded the same way. The whole file is read: rows are counted where they are rows of COPY, and a
file that stops early is found out.
"""

import re
import threading
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from holdfast.contracts.engine import Inventory, Member, Table
from holdfast.contracts.foreign import Survey
from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.postgresql import archive
from holdfast.engines.postgresql.commands import pg_restore_script
from holdfast.engines.postgresql.script import Item, Meta, Remark, Rows, Script, Statement
from holdfast.engines.postgresql.spelling import readable_bytes
from holdfast.engines.postgresql.tools import ToolSet
from holdfast.kit.process import PIPE, Child, require_success
from holdfast.kit.sniff import described

CUSTOM, TAR, PLAIN = "foreign-custom", "foreign-tar", "foreign-plain"
_FILES = {CUSTOM: "imported.dump", TAR: "imported.tar", PLAIN: "imported.sql"}

_HEADING = b"-- PostgreSQL database dump"
_TRAILER = "PostgreSQL database dump complete"
_SQL = re.compile(
    rb"(?:\s|--[^\n]*\n|/\*.*?\*/)*"
    rb"(?:SET|CREATE|INSERT|COPY|BEGIN|START|ALTER|DROP|SELECT|GRANT|COMMENT|\\restrict)\b",
    re.IGNORECASE | re.DOTALL,
)
NAME = r'(?:"((?:[^"]|"")+)"|([\w$\x80-\uffff]+))'
_TABLE = re.compile(
    rf"COPY\s+(?:{NAME}\.)?{NAME}\s*(?:\(.*\))?\s*FROM\s+stdin$", re.IGNORECASE | re.DOTALL
)
EXTENSION = re.compile(rf"CREATE EXTENSION (?:IF NOT EXISTS )?{NAME}", re.IGNORECASE)
_SCHEMA = re.compile(rf"SET search_path\s*(?:=|TO)\s*{NAME}", re.IGNORECASE)


def recognise(head: bytes) -> Member:
    """EvidenceMissing says what the file is instead, as far as its first bytes tell."""
    if head.startswith(b"PGDMP"):
        return _member(CUSTOM)
    if head[257:262] == b"ustar" or head.startswith(b"toc.dat\0"):
        if not head.startswith(b"toc.dat\0"):
            raise EvidenceMissing("the file is a tar archive, but pg_dump did not make it")
        return _member(TAR)
    if archive.HEADING in head:
        raise EvidenceMissing(
            "the file is a pg_dumpall script of a whole cluster; import the databases one by one"
            " with pg_dump, or all of them by a connection string"
        )
    found = described(head)
    if found is not None and not found.endswith("PostgreSQL"):
        raise EvidenceMissing(f"the file is {found}, not a dump of PostgreSQL")
    if _HEADING in head or (b"\0" not in head and _SQL.match(head)):
        return _member(PLAIN)
    raise EvidenceMissing(f"the file is no dump of PostgreSQL; it begins with {head[:24]!r}")


def _member(kind: str) -> Member:
    return Member(_FILES[kind], kind, None)


@contextmanager
def script(
    tools: ToolSet, member: Member, plain: Iterator[bytes], *, data_only: bool = False
) -> Generator[Script]:
    """The dump as SQL. Leaving the block without an exception proves that the tool ended well."""
    if member.format == PLAIN:
        yield Script(plain)
        return
    child = Child(pg_restore_script(tools, *(["--data-only"] * data_only)), stdin=PIPE)
    trouble: list[BaseException] = []
    feeder = threading.Thread(target=archive.feed, args=(child, plain, trouble), daemon=True)
    try:
        feeder.start()
        try:
            yield Script(iter(lambda: child.stdout.read(1 << 18), b""))
        except EvidenceMissing:
            _require_good(child, feeder, trouble)  # why the script stopped early
            raise
        _require_good(child, feeder, trouble)
    finally:
        child.close()


def _require_good(child: Child, feeder: threading.Thread, trouble: list[BaseException]) -> None:
    finished = child.wait()
    feeder.join()
    if trouble:
        raise trouble[0]
    require_success(finished)


@dataclass
class _Findings:
    """What one pass over a script saw."""

    rows: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    uncounted: int = 0
    statements: int = 0
    extensions: set[str] = field(default_factory=set[str])
    connects: list[str] = field(default_factory=list[str])
    remarks: dict[str, str] = field(default_factory=dict[str, str])
    headed: bool = False
    complete: bool = False
    schema: str = ""

    def take(self, item: Item) -> None:
        match item:
            case Statement(text):
                self._statement(readable_bytes(text))
            case Rows(text, chunks):
                self._rows(readable_bytes(text), chunks)
            case Meta(text):
                self._meta(text)
            case Remark(text):
                self._remark(text)

    def _statement(self, text: str) -> None:
        self.statements += 1
        if extension := EXTENSION.match(text):
            self.extensions.add(unquoted(extension, 1))
        elif schema := _SCHEMA.match(text):
            self.schema = unquoted(schema, 1)

    def _rows(self, text: str, chunks: Iterator[bytes]) -> None:
        count = sum(chunk.count(b"\n") for chunk in chunks)
        table = _TABLE.match(text)
        schema = unquoted(table, 1) or self.schema if table else ""
        if table is None or not schema:
            self.uncounted += 1
        else:
            self.rows[schema, unquoted(table, 3)] += count

    def _meta(self, text: str) -> None:
        word, _, rest = text.partition(" ")
        if word in ("\\connect", "\\c"):
            self.connects.append(rest)
        elif word not in ("\\restrict", "\\unrestrict"):
            raise EvidenceMissing(f"the file holds a command for psql: {text[:60]!r}")

    def _remark(self, text: str) -> None:
        self.headed = self.headed or text == "PostgreSQL database dump"
        self.complete = text == _TRAILER or (self.complete and not text)
        for title in ("Dumped from database version", "Dumped by pg_dump version"):
            if text.startswith(title):
                self.remarks[title] = text.removeprefix(title).split()[0]


def unquoted(match: re.Match[str], group: int) -> str:
    """One of two groups: a quoted name, or one that is folded to lower case."""
    quoted, bare = match[group], match[group + 1]
    return quoted.replace('""', '"') if quoted is not None else (bare or "").lower()


def survey(tools: ToolSet, member: Member, plain: Iterator[bytes]) -> Survey:
    """Reads all of it. EvidenceMissing when it is cut off, foreign or of several databases."""
    found = _Findings()
    with script(tools, member, plain) as read:
        for item in read.items():
            found.take(item)
    if found.headed and not found.complete:
        raise EvidenceMissing("the file does not end as pg_dump ends its dumps: it was cut off")
    if len(set(found.connects)) > 1:
        raise EvidenceMissing("the file holds several databases; import them one by one")
    if not found.statements and not found.rows:
        raise EvidenceMissing("the file holds no statement at all")
    return Survey(_inventory(found), _facts(tools, found))


def recount(tools: ToolSet, member: Member, plain: Iterator[bytes]) -> Mapping[str, int]:
    """Rows in each table of an archive, by `schema.table`. Its data alone is read by the tool."""
    found = _Findings()
    with script(tools, member, plain, data_only=True) as read:
        for item in read.items():
            found.take(item)
    if found.uncounted:
        raise EvidenceMissing(f"{member.name} holds rows of no table that is known")
    total: Counter[str] = Counter()
    for (schema, name), rows in found.rows.items():
        total[f"{schema}.{name}"] += rows
    return dict(total)


def _inventory(found: _Findings) -> Inventory:
    """Rows as they are in the file; tables that are filled otherwise are not in it."""
    tables = [Table("", f"{schema}.{name}", rows) for (schema, name), rows in found.rows.items()]
    return Inventory(tables, {})


def _facts(tools: ToolSet, found: _Findings) -> dict[str, object]:
    version = found.remarks.get("Dumped from database version", "")
    major = version.partition(".")[0]
    return {
        "server": {
            "version": version,
            "major": int(major) if major.isdigit() else 0,
            "bootstrap": "",
        },
        "tools": {"version": tools.version, "major": tools.major},
        "madeBy": found.remarks.get("Dumped by pg_dump version", "unknown"),
        "statements": found.statements,
        "tableData": len(found.rows) + found.uncounted,
        "uncounted": found.uncounted,
        "extensions": sorted(found.extensions - {"plpgsql"}),
        "databases": [],
    }
