"""Surveys a foreign dump: what it is, by its content, and whether it is whole.

The whole file is read: rows are counted where they come as plain INSERTs, and what a target must
offer is taken from the definitions. Statements about more than the dumped databases are left out
and reported; those that no dump tool writes are refused before anything runs.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.contracts.engine import Inventory, Member, Table
from holdfast.contracts.foreign import Survey
from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.foreign_formats import description_of
from holdfast.engines.mysql.client.tools import MARIADB, MYSQL
from holdfast.engines.mysql.dump.archive import NOTES_RESTORED, SANDBOX, Scan, begins
from holdfast.engines.mysql.dump.script import MAX_STATEMENT_BYTES, statements, tokens
from holdfast.engines.mysql.dump.statement_rules import Fate, Verdict, unquoted
from holdfast.engines.mysql.imports.statement_filter import StatementFilter

FORMAT = "foreign-mysql"
_MEMBER = Member("imported.sql", FORMAT, None)

_SERVER = re.compile(rb"^-- Server version\s+(\d+\.\d+\.\d+)(\S*)", re.MULTILINE)
_DUMP_TOOL = re.compile(rb"^-- (?:MySQL|MariaDB) dump .*?Distrib ([^,\s]+)", re.MULTILINE)
_HEAD_BYTES = 4096
_COMPACT_BEGINNINGS = (
    *(b"SET @MYSQLDUMP_TEMP_LOG_BIN", b"/*!40101 SET @saved_cs_client", b"/*!50503 SET"),
    *(b"CREATE DATABASE /*!32312", b"CREATE TABLE `", b"INSERT INTO `"),
)
"""Beginnings of files that have neither comments nor the settings that are put back at the end."""

_QUOTED = re.compile(
    rb"""'[^'\\]*+(?:(?:\\.|'')[^'\\]*+)*+'|"[^"\\]*+(?:(?:\\.|"")[^"\\]*+)*+"|`[^`]*+`""",
    re.DOTALL,
)
_VALUES = re.compile(rb"[^()]*?(?:\([^()]*\))?\s*VALUES\b", re.IGNORECASE)
_NO_PARENTHESES = bytes(set(range(256)) - set(b"()"))


def recognise(head: bytes) -> Member:
    """EvidenceMissing says what the file is instead, as far as its first bytes tell."""
    if begins(head):
        return _MEMBER
    description = description_of(head)
    if head.lstrip().startswith(_COMPACT_BEGINNINGS):
        description = "a dump made with --compact, whose end looks like any other line"
    raise EvidenceMissing(
        f"the file is {description}. It has to be a dump of mysqldump or mariadb-dump without"
        " --compact: otherwise it cannot be told whether it is whole"
    )


def row_count(statement: bytes) -> int | None:
    """Rows of an INSERT; None when its values are not all plain."""
    plain = _QUOTED.sub(b"", statement)
    head = _VALUES.match(plain)
    if head is None:
        return None
    shape = plain[head.end() :].translate(None, _NO_PARENTHESES)
    count = shape.count(b"()")
    return count if count * 2 == len(shape) else None


@dataclass
class _Database:
    """What a file says about one database; the name "" stands for the restore's target."""

    charset: str | None = None
    collation: str | None = None
    comment: str = ""
    size: int = 0
    engines: set[str] = field(default_factory=set[str])
    collations: set[str] = field(default_factory=set[str])
    references: set[str] = field(default_factory=set[str])
    sequences: bool = False
    versioned: bool = False
    mixed: bool = False
    rows: dict[str, int | None] = field(default_factory=dict[str, int | None])
    defined: set[str] = field(default_factory=set[str])
    code: dict[tuple[str, str], None] = field(default_factory=dict[tuple[str, str], None])

    def document(self, name: str) -> dict[str, object]:
        return {
            "name": name,
            "charset": self.charset,
            "collation": self.collation,
            "comment": self.comment,
            "size": self.size,
            "engines": sorted(self.engines),
            "collations": sorted(self.collations),
            "references": sorted(self.references),
            "sequences": self.sequences,
            "versioned": self.versioned,
            "mixedCase": self.mixed,
        }

    def objects(self) -> dict[str, int]:
        """Counts of stored code, for which a restore needs rights."""
        counts: dict[str, int] = {}
        for kind, _ in self.code:
            counts[kind] = counts.get(kind, 0) + 1
        return counts


class _ScriptSurvey:
    """One pass over a script."""

    def __init__(self) -> None:
        self.filter = StatementFilter()
        self.databases: dict[str, _Database] = {}
        self.statements = 0
        self.history = False
        self._current = ""

    def take(self, statement: bytes) -> None:
        self.statements += 1
        verdict = self.filter.take(statement)
        if verdict is None:
            return
        if verdict.fate is Fate.USE:
            self._current = verdict.name
            self.databases.setdefault(self._current, _Database())
        elif verdict.fate is Fate.ROWS:
            self.count_rows(verdict.name, statement)
        elif verdict.fate is Fate.CODE:
            self.current_database().code[verdict.kind, verdict.name] = None
        elif verdict.fate is Fate.DROP_STAND_IN:
            self.current_database().rows.pop(verdict.name, None)
        elif verdict.fate is Fate.ANNOUNCE:
            self.announce(verdict.name, statement)
        elif verdict.name:
            self.define(verdict, statement)
        self.history = self.history or b"system_versioning_insert_history=1" in statement[:200]

    def current_database(self) -> _Database:
        return self.databases.setdefault(self._current, _Database())

    def count_rows(self, table: str, statement: bytes) -> None:
        database = self.current_database()
        database.size += len(statement)
        count = row_count(statement) if statement[:11].upper() == b"INSERT INTO" else None
        before = database.rows.get(table, 0)
        database.rows[table] = None if count is None or before is None else before + count

    def announce(self, name: str, statement: bytes) -> None:
        words = _words(statement)
        database = self.databases.setdefault(name, _Database())
        database.mixed = name != name.lower()
        database.charset = next(iter(_after(words, "SET")), None)
        database.collation = next(iter(_after(words, "COLLATE")), None)
        # A comment is the end of a CREATE DATABASE.
        *_, keyword, comment = ("", ""), ("", ""), *tokens(statement, MAX_STATEMENT_BYTES)
        has_comment = keyword[1].upper() == "COMMENT" and comment[0] == "string"
        quoted = comment[1] if has_comment else ""
        database.comment = _ESCAPED.sub(lambda match: match[1] or "'", quoted[1:-1])
        database.collations.update(_after(words, "COLLATE"))

    def define(self, verdict: Verdict, statement: bytes) -> None:
        """Records a table or sequence."""
        words, database = _words(statement), self.current_database()
        database.size += len(statement)
        database.mixed = database.mixed or verdict.name != verdict.name.lower()
        if words[1] == "SEQUENCE":
            database.sequences = True
            return
        database.rows.setdefault(verdict.name, 0)
        database.defined.add(verdict.name)
        database.engines.update(_after(words, "ENGINE"))
        database.collations.update(_after(words, "COLLATE"))
        database.versioned = database.versioned or "VERSIONING" in _after(words, "SYSTEM")
        statement_tokens = tokens(statement, MAX_STATEMENT_BYTES)
        for at, (kind, text) in enumerate(statement_tokens[:-2]):
            referred = kind == "word" and text.upper() == "REFERENCES"
            if referred and statement_tokens[at + 2][1].startswith("."):
                database.references.add(unquoted(statement_tokens[at + 1][1]))

    def inventory(self) -> Inventory:
        """Row counts of the file, without tables whose rows could not be counted."""
        tables = [
            Table(database, table, rows)
            for database, contents in self.databases.items()
            for table, rows in contents.rows.items()
            if rows is not None
        ]
        return Inventory(
            tables, {name: contents.objects() for name, contents in self.databases.items()}
        )

    def facts(self, head: bytes) -> Mapping[str, Any]:
        tool_match, server_match = _DUMP_TOOL.search(head), _SERVER.search(head)
        banner = server_match[2].decode(errors="replace") if server_match else ""
        maker = tool_match[1].decode(errors="replace") if tool_match else "unknown"
        from_mariadb = MARIADB in banner or MARIADB in maker or head.startswith(SANDBOX)
        flavour = MARIADB if from_mariadb else MYSQL
        tables = [rows for database in self.databases.values() for rows in database.rows.values()]
        return {
            "server": {
                "version": server_match[1].decode() if server_match else "",
                "flavour": flavour,
                "lowerCase": 0,
            },
            "tools": {"version": maker, "flavour": flavour},
            "madeBy": maker,
            "history": self.history,
            "statements": self.statements,
            "tableData": len(tables),
            "uncounted": tables.count(None),
            "leftOut": sorted(self.filter.left_out),
            "databases": [database.document(name) for name, database in self.databases.items()],
        }


_ESCAPED = re.compile(r"\\(.)|''", re.DOTALL)


def _words(statement: bytes) -> list[str]:
    """Words as they are written and equals signs; an empty string for any other token."""
    return [
        text if kind == "word" else "=" * (text == "=")
        for kind, text in tokens(statement, MAX_STATEMENT_BYTES)
    ]


def _after(words: list[str], keyword: str) -> list[str]:
    """The words that follow a keyword, with or without an equals sign between."""
    values: list[str] = []
    for at, word in enumerate(words):
        if word.upper() == keyword:
            rest = [candidate for candidate in words[at + 1 : at + 3] if candidate != "="]
            values += rest[:1] if rest and rest[0] else []
    return values


def survey(plain: Iterator[bytes]) -> Survey:
    """Reads the whole file. EvidenceMissing when it is cut off or holds what is not allowed."""
    scan, reading, head = Scan(), _ScriptSurvey(), bytearray()

    def passing() -> Iterator[bytes]:
        for chunk in plain:
            scan.feed(chunk)
            if len(head) < _HEAD_BYTES:
                head.extend(chunk[:_HEAD_BYTES])
            yield chunk

    for statement in statements(passing()):
        reading.take(statement)
    commented = _DUMP_TOOL.search(bytes(head)) is not None
    problem = scan.problem(*([] if commented else [NOTES_RESTORED]))
    if problem is not None:
        raise EvidenceMissing(
            f"it cannot be told whether the file is whole: {problem}, or made with --compact, which"
            " leaves out what would tell; make it without"
        )
    if not reading.databases:
        raise EvidenceMissing("the file holds no database, no table and no row")
    for database in reading.databases.values():
        for table in sorted(database.rows.keys() - database.defined):
            raise EvidenceMissing(
                f"the file holds rows of table {table}, but does not say what it is: it was made"
                " with --no-create-info. Import a dump that holds the definitions, too"
            )
    return Survey(reading.inventory(), reading.facts(bytes(head)))
