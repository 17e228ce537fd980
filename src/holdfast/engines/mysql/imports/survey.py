"""Dumps that somebody else made: what they are, by their content, and whether they are whole.

The whole file is read: rows are counted where they come as plain INSERTs, and what a target must
offer is taken from the definitions. What concerns more than the dumped databases is left out, and
said; what no dump tool writes is refused before anything runs.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.contracts.engine import Inventory, Member, Table
from holdfast.contracts.foreign import Survey
from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.foreign_formats import described
from holdfast.engines.mysql.client.tools import MARIADB, MYSQL
from holdfast.engines.mysql.dump.archive import NOTES_RESTORED, SANDBOX, Scan, begins
from holdfast.engines.mysql.dump.script import LONGEST, statements, tokens
from holdfast.engines.mysql.dump.statement_rules import Fate, Verdict, unquoted
from holdfast.engines.mysql.imports.statement_filter import Sieve

FORMAT = "foreign-mysql"
_MEMBER = Member("imported.sql", FORMAT, None)

_SERVER = re.compile(rb"^-- Server version\s+(\d+\.\d+\.\d+)(\S*)", re.MULTILINE)
_MADE_BY = re.compile(rb"^-- (?:MySQL|MariaDB) dump .*?Distrib ([^,\s]+)", re.MULTILINE)
_HEAD = 4096
_COMPACT = (
    *(b"SET @MYSQLDUMP_TEMP_LOG_BIN", b"/*!40101 SET @saved_cs_client", b"/*!50503 SET"),
    *(b"CREATE DATABASE /*!32312", b"CREATE TABLE `", b"INSERT INTO `"),
)
"""How files begin that have neither comments nor the settings that are put back in the end."""

_STRINGS = re.compile(
    rb"""'[^'\\]*+(?:(?:\\.|'')[^'\\]*+)*+'|"[^"\\]*+(?:(?:\\.|"")[^"\\]*+)*+"|`[^`]*+`""",
    re.DOTALL,
)
_VALUES = re.compile(rb"[^()]*?(?:\([^()]*\))?\s*VALUES\b", re.IGNORECASE)
_NO_PARENTHESES = bytes(set(range(256)) - set(b"()"))


def recognise(head: bytes) -> Member:
    """EvidenceMissing says what the file is instead, as far as its first bytes tell."""
    if begins(head):
        return _MEMBER
    description = described(head) or f"not known here; it begins with {head[:24]!r}"
    if head.lstrip().startswith(_COMPACT):
        description = "a dump made with --compact, whose end looks like any other line"
    raise EvidenceMissing(
        f"the file is {description}. It has to be a dump of mysqldump or mariadb-dump without --compact:"
        " otherwise nobody can say that it is whole"
    )


def row_count(statement: bytes) -> int | None:
    """Rows of an INSERT; None when its values are not all plain."""
    plain = _STRINGS.sub(b"", statement)
    head = _VALUES.match(plain)
    if head is None:
        return None
    shape = plain[head.end() :].translate(None, _NO_PARENTHESES)
    count = shape.count(b"()")
    return count if count * 2 == len(shape) else None


@dataclass
class _Database:
    """What a file says of one database; the name "" is for wherever it will be loaded."""

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
        """Code only: what a restore needs rights for."""
        counts: dict[str, int] = {}
        for kind, _ in self.code:
            counts[kind] = counts.get(kind, 0) + 1
        return counts


class _Reading:
    """One pass over a script."""

    def __init__(self) -> None:
        self.sieve = Sieve()
        self.databases: dict[str, _Database] = {}
        self.statements = 0
        self.history = False
        self._here = ""

    def take(self, statement: bytes) -> None:
        self.statements += 1
        verdict = self.sieve.take(statement)
        if verdict is None:
            return
        if verdict.fate is Fate.GO:
            self._here = verdict.name
            self.databases.setdefault(self._here, _Database())
        elif verdict.fate is Fate.ROWS:
            self._rows(verdict.name, statement)
        elif verdict.fate is Fate.CODE:
            self._into().code[verdict.kind, verdict.name] = None
        elif verdict.fate is Fate.DROP:
            self._into().rows.pop(verdict.name, None)
        elif verdict.fate is Fate.DATABASE:
            self._announced(verdict.name, statement)
        elif verdict.name:
            self._define(verdict, statement)
        self.history = self.history or b"system_versioning_insert_history=1" in statement[:200]

    def _into(self) -> _Database:
        return self.databases.setdefault(self._here, _Database())

    def _rows(self, table: str, statement: bytes) -> None:
        into = self._into()
        into.size += len(statement)
        count = row_count(statement) if statement[:11].upper() == b"INSERT INTO" else None
        before = into.rows.get(table, 0)
        into.rows[table] = None if count is None or before is None else before + count

    def _announced(self, name: str, statement: bytes) -> None:
        words = _words(statement)
        into = self.databases.setdefault(name, _Database())
        into.mixed = name != name.lower()
        into.charset = next(iter(_after(words, "SET")), None)
        into.collation = next(iter(_after(words, "COLLATE")), None)
        into.comment = _comment(statement)
        into.collations.update(_after(words, "COLLATE"))

    def _define(self, verdict: Verdict, statement: bytes) -> None:
        """Of a table or sequence."""
        words, into = _words(statement), self._into()
        into.size += len(statement)
        into.mixed = into.mixed or verdict.name != verdict.name.lower()
        if words[1] == "SEQUENCE":
            into.sequences = True
            return
        into.rows.setdefault(verdict.name, 0)
        into.defined.add(verdict.name)
        into.engines.update(_after(words, "ENGINE"))
        into.collations.update(_after(words, "COLLATE"))
        into.versioned = into.versioned or "VERSIONING" in _after(words, "SYSTEM")
        statement_tokens = tokens(statement, LONGEST)
        for at, (kind, text) in enumerate(statement_tokens[:-2]):
            referred = kind == "word" and text.upper() == "REFERENCES"
            if referred and statement_tokens[at + 2][1].startswith("."):
                into.references.add(unquoted(statement_tokens[at + 1][1]))


def _comment(statement: bytes) -> str:
    """What a CREATE DATABASE says last."""
    statement_tokens = tokens(statement, LONGEST)
    if (
        len(statement_tokens) < 2
        or statement_tokens[-2][1].upper() != "COMMENT"
        or statement_tokens[-1][0] != "string"
    ):
        return ""
    return _ESCAPED.sub(lambda match: match[1] or "'", statement_tokens[-1][1][1:-1])


_ESCAPED = re.compile(r"\\(.)|''", re.DOTALL)


def _words(statement: bytes) -> list[str]:
    """Words and marks as they are but for keywords, which the callers look for in capitals."""
    return [
        text if kind == "word" else "=" * (text == "=") for kind, text in tokens(statement, LONGEST)
    ]


def _after(words: list[str], keyword: str) -> list[str]:
    """The words that stand behind a keyword, with or without an equals sign between."""
    values: list[str] = []
    for at, word in enumerate(words):
        if word.upper() == keyword:
            rest = [candidate for candidate in words[at + 1 : at + 3] if candidate != "="]
            values += rest[:1] if rest and rest[0] else []
    return values


def survey(plain: Iterator[bytes]) -> Survey:
    """Reads all of it. EvidenceMissing when it is cut off, foreign, or asks for too much."""
    scan, reading, head = Scan(), _Reading(), bytearray()

    def passing() -> Iterator[bytes]:
        for chunk in plain:
            scan.feed(chunk)
            if len(head) < _HEAD:
                head.extend(chunk[:_HEAD])
            yield chunk

    for statement in statements(passing()):
        reading.take(statement)
    commented = _MADE_BY.search(bytes(head)) is not None
    problem = scan.problem(*([] if commented else [NOTES_RESTORED]))
    if problem is not None:
        raise EvidenceMissing(
            f"nobody can say that the file is whole: {problem}, or made with --compact, which"
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
    return Survey(_inventory(reading), _facts(reading, bytes(head)))


def _inventory(reading: _Reading) -> Inventory:
    """Rows as they are in the file; tables whose rows nobody could count are not in it."""
    tables = [
        Table(database, table, rows)
        for database, contents in reading.databases.items()
        for table, rows in contents.rows.items()
        if rows is not None
    ]
    return Inventory(
        tables, {name: contents.objects() for name, contents in reading.databases.items()}
    )


def _facts(reading: _Reading, head: bytes) -> Mapping[str, Any]:
    tool_match, server_match = _MADE_BY.search(head), _SERVER.search(head)
    banner = server_match[2].decode(errors="replace") if server_match else ""
    maker = tool_match[1].decode(errors="replace") if tool_match else "unknown"
    from_mariadb = MARIADB in banner or MARIADB in maker or head.startswith(SANDBOX)
    flavour = MARIADB if from_mariadb else MYSQL
    tables = [rows for database in reading.databases.values() for rows in database.rows.values()]
    return {
        "server": {
            "version": server_match[1].decode() if server_match else "",
            "flavour": flavour,
            "lowerCase": 0,
        },
        "tools": {"version": maker, "flavour": flavour},
        "madeBy": maker,
        "history": reading.history,
        "statements": reading.statements,
        "tableData": len(tables),
        "uncounted": tables.count(None),
        "leftOut": sorted(reading.sieve.left_out),
        "databases": [database.document(name) for name, database in reading.databases.items()],
    }
