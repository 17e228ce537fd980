"""Surveys dumps that Holdfast did not make: their format, by their content, and whether they are
whole.

Archives are converted to their script by the stock tool, so that all formats are read and loaded
the same way. The whole file is read: rows of COPY are counted, and a file that stops early is
detected.
"""

import re
import threading
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from holdfast.contracts.engine import Inventory, Member, Table
from holdfast.contracts.foreign import Survey
from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.foreign_formats import described
from holdfast.engines.postgresql.client.commands import pg_restore_script
from holdfast.engines.postgresql.client.object_names import is_ours
from holdfast.engines.postgresql.client.tools import MAJORS, ToolSet
from holdfast.engines.postgresql.dump import archive
from holdfast.engines.postgresql.dump.script import CommentLine, CopyRows, Script, Statement
from holdfast.engines.postgresql.imports import directory_format, statement_filter
from holdfast.engines.postgresql.imports.script_state import ScriptState, unquoted
from holdfast.engines.postgresql.imports.statement_filter import NAME
from holdfast.kit.processes.process import PIPE, Child, Finished, require_success

CUSTOM, TAR, DIRECTORY = "foreign-custom", "foreign-tar", "foreign-directory"
PLAIN, CLUSTER = "foreign-plain", "foreign-cluster"
_FILES = {
    CUSTOM: "imported.dump",
    TAR: "imported.tar",
    DIRECTORY: "imported-directory.tar",
    PLAIN: "imported.sql",
    CLUSTER: "imported-cluster.sql",
}
_SCRIPTS = (PLAIN, CLUSTER)
SYSTEM = ("template0", "template1")

_HEADING = b"-- PostgreSQL database dump"
_TRAILERS = ("PostgreSQL database dump complete", "PostgreSQL database cluster dump complete")
_HEADINGS = ("PostgreSQL database dump", "PostgreSQL database cluster dump")
_SQL = re.compile(
    rb"(?:\s|--[^\n]*\n|/\*.*?\*/|\\(?:set|encoding|pset|echo|timing|restrict|connect|c)\b[^\n]*\n)*"
    rb"(?:SET|RESET|CREATE|INSERT|COPY|BEGIN|START|ALTER|DROP|SELECT|GRANT|REVOKE|COMMENT|DO|WITH"
    rb"|TRUNCATE)\b",
    re.IGNORECASE | re.DOTALL,
)
_TABLE = re.compile(
    rf"COPY\s+(?:{NAME}\.)?{NAME}\s*(?:\([^)]*\))?\s*(?:WITH OIDS\s*)?FROM\s+stdin\s*(.*)$",
    re.IGNORECASE | re.DOTALL,
)
_NOT_LINES = re.compile(r"\b(?:csv|binary|header)\b", re.IGNORECASE)
_CREATES_TABLE = re.compile(
    r"CREATE\s+(?:(?:UNLOGGED|FOREIGN|GLOBAL|LOCAL|TEMP|TEMPORARY)\s+)*TABLE\b"
    r"|CREATE\s+EXTENSION\b|SELECT\b.+\bINTO\b",
    re.IGNORECASE | re.DOTALL,
)
_CHANGES_ROWS = re.compile(
    rf"(INSERT\s+INTO|DELETE\s+FROM|UPDATE|MERGE\s+INTO|TRUNCATE(?:\s+TABLE)?|DROP\s+TABLE)\s+"
    rf"(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?(?:{NAME}\.)?{NAME}",
    re.IGNORECASE,
)
_ELSEWHERE = re.compile(r"COPY\b.+\bFROM\s+'\$\$PATH\$\$", re.IGNORECASE | re.DOTALL)
EXTENSION = re.compile(rf"CREATE EXTENSION (?:IF NOT EXISTS )?{NAME}", re.IGNORECASE)


def recognise(head: bytes) -> Member:
    """The member for a file; EvidenceMissing says what it is instead, as far as `head` tells."""
    if head.startswith(b"PGDMP"):
        return _member(CUSTOM)
    if head[257:262] == b"ustar" or head.startswith(b"toc.dat\0"):
        if directory_format.is_directory(head):
            return _member(DIRECTORY)
        if head.startswith(b"toc.dat\0"):
            return _member(TAR)
        raise EvidenceMissing(
            "the file is a tar archive, but not of pg_dump: neither of its tar format nor of a"
            " directory that pg_dump --format=directory wrote. Import a dump of pg_dump"
            " --format=custom"
        )
    if archive.HEADING in head:
        return _member(CLUSTER)
    description = described(head)
    if description is not None and not description.endswith("PostgreSQL"):
        raise EvidenceMissing(f"the file is {description}, not a dump of PostgreSQL")
    if _HEADING in head or (b"\0" not in head and _SQL.match(head)):
        return _member(PLAIN)
    raise EvidenceMissing(
        f"the file is no dump of PostgreSQL; it begins with {head[:24]!r}. It has to be what"
        " pg_dump or pg_dumpall writes, in any format, or a script of SQL"
    )


def _member(kind: str) -> Member:
    return Member(_FILES[kind], kind, None)


@contextmanager
def script(
    tools: ToolSet, member: Member, plain: Iterator[bytes], *, data_only: bool = False
) -> Generator[Script]:
    """The dump as SQL. Leaving the block without an exception proves that the tool succeeded."""
    if member.format in _SCRIPTS:
        yield Script(plain)
        return
    options = ["--data-only"] * data_only
    if member.format == DIRECTORY:
        with directory_format.unpacked(plain) as directory:
            child = Child(pg_restore_script(tools, *options, "--format=directory", str(directory)))
            try:
                yield Script(iter(lambda: child.stdout.read(1 << 18), b""))
                _require_read(child.wait())
            finally:
                child.close()
        return
    child = Child(pg_restore_script(tools, *options), stdin=PIPE)
    trouble: list[BaseException] = []
    feeder = threading.Thread(target=archive.feed, args=(child, plain, trouble), daemon=True)
    try:
        feeder.start()
        try:
            yield Script(iter(lambda: child.stdout.read(1 << 18), b""))
        except EvidenceMissing:
            _require_good(child, feeder, trouble)  # raises the reason why the script stopped early
            raise
        _require_good(child, feeder, trouble)
    finally:
        child.close()


def _require_good(child: Child, feeder: threading.Thread, trouble: list[BaseException]) -> None:
    finished = child.wait()
    feeder.join()
    if trouble:
        raise trouble[0]
    _require_read(finished)


def _require_read(finished: Finished) -> None:
    if "unsupported version" in finished.stderr:
        raise EvidenceMissing(
            "the archive was made by a pg_dump that is newer than every pg_restore here:"
            f" holdfast tools install postgresql {MAJORS[-1]}, or make it as plain SQL"
            f" (--format=plain). {finished.program} says: {finished.stderr.strip()[-200:]}"
        )
    require_success(finished)


@dataclass
class _Section:
    """The content of a file for one database; `makes`: whether it makes anything.

    Rows are counted of tables that are filled by COPY alone.
    """

    copied: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    changed: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    uncounted: int = 0
    makes: bool = False

    @property
    def rows(self) -> Mapping[tuple[str, str], int]:
        return {table: rows for table, rows in self.copied.items() if table not in self.changed}


@dataclass
class _Findings:
    """The findings of one pass over a script."""

    script: Script
    cluster: bool
    state: ScriptState = field(default_factory=ScriptState)
    sections: dict[str, _Section] = field(default_factory=dict[str, _Section])
    statements: int = 0
    extensions: set[str] = field(default_factory=set[str])
    defines: bool = False
    inserts: bool = False
    comments: dict[str, str] = field(default_factory=dict[str, str])
    headed: bool = False
    complete: bool = False

    def read(self) -> None:
        for item in self.script.items():
            self.state.follow(item, self.script)
            match item:
                case Statement(text):
                    self.read_statement(self.state.text(text))
                case CopyRows(text, chunks):
                    self.count_rows(text, chunks)
                case CommentLine(text):
                    self.read_comment(text)
                case _:
                    pass

    @property
    def section(self) -> _Section:
        return self.sections.setdefault(self.state.database, _Section())

    def read_statement(self, text: str) -> None:
        self.statements += 1
        head = " ".join(text[:4096].split())
        if statement_filter.left_out_reason(
            head, cluster=self.cluster
        ) is None and statement_filter.makes_something(head):
            self.section.makes = True
        self.defines = self.defines or _CREATES_TABLE.match(text) is not None
        if change := _CHANGES_ROWS.match(text):
            table = unquoted(change, 2) or self.state.schema, unquoted(change, 4)
            # A table that is dropped before it is filled is not one of this file.
            if not change[1].upper().startswith("DROP") or table in self.section.copied:
                self.section.changed.add(table)
            self.inserts = self.inserts or change[1].upper().startswith("INSERT")
        if extension := EXTENSION.match(text):
            self.extensions.add(unquoted(extension, 1))
        elif _ELSEWHERE.match(text):
            raise EvidenceMissing(
                "the file is the restore.sql of a tar archive of pg_dump, whose rows are in other"
                " files: import the tar archive itself"
            )

    def count_rows(self, copy: bytes, chunks: Iterator[bytes]) -> None:
        count = sum(chunk.count(b"\n") for chunk in chunks)
        self.section.makes = True
        table = _TABLE.match(self.state.text(copy))
        schema = unquoted(table, 1) or self.state.schema if table else ""
        name = unquoted(table, 3) if table else ""
        if table is None or not schema or _NOT_LINES.search(table[5]):
            self.section.uncounted += 1
        else:
            self.section.copied[schema, name] += count

    def read_comment(self, text: str) -> None:
        self.headed = self.headed or text in _HEADINGS
        self.complete = text in _TRAILERS or (self.complete and not text)
        for title in ("Dumped from database version", "Dumped by pg_dump version"):
            if text.startswith(title):
                self.comments[title] = text.removeprefix(title).split()[0]

    @property
    def databases(self) -> Sequence[str]:
        """The databases of the file, if there are several or it is of a whole server."""
        named = [name for name, section in self.sections.items() if name and section.makes]
        if not self.cluster and len(named) < 2:
            return ()
        return [name for name in named if name not in SYSTEM]


def survey(tools: ToolSet, member: Member, plain: Iterator[bytes]) -> Survey:
    """Reads all of it. EvidenceMissing when it is cut off, foreign or cannot be loaded.

    The inventory has the rows in the file; tables that are filled otherwise are not in it.
    """
    with script(tools, member, plain) as read:
        findings = _Findings(read, cluster=member.format == CLUSTER)
        findings.read()
    if findings.headed and not findings.complete:
        raise EvidenceMissing("the file does not end as pg_dump ends its dumps: it was cut off")
    _require_loadable(findings)
    several = findings.databases
    tables = [
        Table(name if several else "", ".".join(table), rows)
        for name, section in findings.sections.items()
        if name in several or not several
        for table, rows in section.rows.items()
    ]
    version = findings.comments.get("Dumped from database version", "")
    major = version.partition(".")[0]
    facts: dict[str, object] = {
        "server": {
            "version": version,
            "major": int(major) if major.isdigit() else 0,
            "bootstrap": "",
        },
        "tools": {"version": tools.version, "major": tools.major},
        "madeBy": findings.comments.get("Dumped by pg_dump version", "unknown"),
        "statements": findings.statements,
        "tableData": sum(len(s.copied) + s.uncounted for s in findings.sections.values()),
        "uncounted": sum(section.uncounted for section in findings.sections.values()),
        "sections": list(findings.databases),
        "extensions": sorted(findings.extensions - {"plpgsql"}),
        "databases": [],
    }
    return Survey(Inventory(tables, {}), facts)


def _require_loadable(findings: _Findings) -> None:
    rows = any(section.copied or section.uncounted for section in findings.sections.values())
    if not any(section.makes for section in findings.sections.values()):
        raise EvidenceMissing(
            "the file holds no statement that makes anything: no table, no row, no object"
        )
    if (rows or findings.inserts) and not findings.defines:
        raise EvidenceMissing(
            "the file holds rows, but not the tables that they belong to: it was made with"
            " --data-only. Import a dump that holds the definitions, too"
        )
    if findings.cluster and not findings.databases:
        raise EvidenceMissing(
            "the file is of pg_dumpall, but holds no database: roles and tablespaces alone are not"
            " imported"
        )
    ours = [name for name in findings.databases if is_ours(name)]
    if ours:
        raise EvidenceMissing(
            f"the file holds a database called {ours[0]}: that name is Holdfast's"
        )


def recount(tools: ToolSet, member: Member, plain: Iterator[bytes]) -> Mapping[str, int]:
    """Counts rows per table of an archive, by `schema.table`; the tool reads its data alone."""
    with script(tools, member, plain, data_only=True) as read:
        findings = _Findings(read, cluster=False)
        findings.read()
    if findings.section.uncounted:
        raise EvidenceMissing(f"{member.name} holds rows of no table that is known")
    total: Counter[str] = Counter()
    for (schema, name), rows in findings.section.rows.items():
        total[f"{schema}.{name}"] += rows  # names with dots may be spelled alike
    return dict(total)
