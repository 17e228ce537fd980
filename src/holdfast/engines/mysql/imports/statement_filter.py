"""Filters the statements of a foreign script.

`statement_rules.py` says what a dump may hold; this module leaves out what does not belong to the
dumped databases, and refuses what is too dangerous from an unknown author. The survey of a file and
its load use the same filter.
"""

from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.mysql.client import facts
from holdfast.engines.mysql.dump.script import MAX_STATEMENT_BYTES, tokens
from holdfast.engines.mysql.dump.statement_rules import (
    Fate,
    Verdict,
    databases_of_trigger,
    judge,
    unquoted,
)

_LEFT_OUT = {
    ("GRANT",): "grants",
    ("REVOKE",): "grants",
    ("CREATE", "USER"): "accounts",
    ("CREATE", "ROLE"): "accounts",
    ("CREATE", "OR", "REPLACE", "USER"): "accounts",
    ("CREATE", "OR", "REPLACE", "ROLE"): "accounts",
    ("ALTER", "USER"): "accounts",
    ("DROP", "USER"): "accounts",
    ("DROP", "ROLE"): "accounts",
    ("SET", "DEFAULT", "ROLE"): "accounts",
    ("SELECT", "COALESCE"): "accounts",
    ("SET", "ROLE"): "accounts",
    ("EXECUTE", "IMMEDIATE"): "accounts",
    ("FLUSH", "PRIVILEGES"): "accounts",
    ("INSTALL", "PLUGIN"): "plugins",
    ("UNINSTALL", "PLUGIN"): "plugins",
    ("CREATE", "SERVER"): "addresses of other servers",
    ("CREATE", "OR", "REPLACE", "SERVER"): "addresses of other servers",
    ("FLUSH", "TABLES"): "flushes of tables",
    ("CHANGE", "MASTER"): "settings of replication",
    ("CHANGE", "REPLICATION"): "settings of replication",
    ("SET", "GLOBAL", "GTID_SLAVE_POS"): "settings of replication",
    ("START", "SLAVE"): "settings of replication",
    ("STOP", "SLAVE"): "settings of replication",
    ("STOP", "ALL", "SLAVES"): "settings of replication",
    ("DROP", "DATABASE"): "the dropping of databases: a restore replaces them",
}
_SYSTEM_DATABASES = "databases of the server itself"
_LOCAL_ENGINES = frozenset(
    ["innodb", "myisam", "aria", "memory", "heap", "archive", "csv", "rocksdb", "tokudb"]
)
"""Tables of other engines reach for files, other tables or other servers."""
_UNSAFE_CHARSETS = frozenset(["big5", "cp932", "gbk", "gb18030", "sjis"])
"""Character sets in which a quote or a backslash may be a part of a character."""


class StatementFilter:
    """One pass over a script; `left_out` collects what was left out."""

    def __init__(self) -> None:
        self.left_out: set[str] = set()
        self._system = False
        self._database = ""

    def take(self, statement: bytes) -> Verdict | None:
        """The verdict; None when the statement is left out. EvidenceMissing refuses the file."""
        statement_tokens = tokens(statement, 12)
        words = [text.upper() if kind == "word" else "" for kind, text in statement_tokens]
        if words[:1] == ["USE"]:
            verdict = judge(statement)
            self._system = verdict.name.lower() in facts.SYSTEM
            self._database = verdict.name
            return None if self._system else verdict
        if words[:2] == ["CREATE", "DATABASE"]:
            texts = [text.upper() for _, text in statement_tokens]
            at = 5 if texts[2:5] == ["IF", "NOT", "EXISTS"] else 2
            name = unquoted(statement_tokens[at][1]) if at < len(statement_tokens) else ""
            if not name:
                raise EvidenceMissing("a statement makes a database without a name")
            return None if name.lower() in facts.SYSTEM else Verdict(Fate.ANNOUNCE, name=name)
        if self._system:
            self.left_out.add(_SYSTEM_DATABASES)
            return None
        if (left_out := _kind_left_out(words)) is not None:
            self.left_out.add(left_out)
            return None
        if words[:4] == ["DROP", "TABLE", "IF", "EXISTS"] and len(statement_tokens) == 5:
            return Verdict(Fate.DROP_STAND_IN, name=unquoted(statement_tokens[4][1]))
        verdict = judge(statement)
        _require_harmless(verdict, statement)
        if verdict.kind == "triggers":
            for database in databases_of_trigger(statement) - {self._database}:
                origin = self._database or "a database that the file does not name"
                raise EvidenceMissing(f"a trigger of {origin} says database {database}")
        return verdict


def _kind_left_out(words: list[str]) -> str | None:
    """The kind of a statement that goes beyond databases, as `mariadb-dump --system` adds."""
    if words[:1] == ["CREATE"] and "FUNCTION" in words and "SONAME" in words:
        return "functions of libraries"
    kinds = (kind for opening, kind in _LEFT_OUT.items() if tuple(words[: len(opening)]) == opening)
    return next(kinds, None)


def _require_harmless(verdict: Verdict, statement: bytes) -> None:
    for literal in verdict.settings.values():  # a variable may be used as a character set later
        value = unquoted(literal).lower()
        if value.partition("_")[0] in _UNSAFE_CHARSETS:
            raise EvidenceMissing(f"a dump in the character set {value} cannot be read safely")
    if "\\" in verdict.name or "\\" in verdict.database:
        raise EvidenceMissing(f"a name with a backslash cannot be read safely: {verdict.name!r}")
    if verdict.fate is not Fate.RUN or not verdict.name:
        return
    texts = [text for _, text in tokens(statement, MAX_STATEMENT_BYTES)]
    for at, text in enumerate(texts):
        if text.upper() != "ENGINE":
            continue
        value = next((word for word in texts[at + 1 : at + 3] if word != "="), "")
        if unquoted(value).lower() not in _LOCAL_ENGINES:
            raise EvidenceMissing(
                f"table {verdict.name} is of the storage engine {unquoted(value)}, which is not"
                " imported: it reaches for what is not in the dump"
            )
