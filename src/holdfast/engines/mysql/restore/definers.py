"""Whose rights the code of a stranger's dump has: those of an account that can do little.

Views, routines, triggers and events run with the rights of their definer, whoever uses them, and
events run by themselves. So what a stranger wrote belongs to an account that nobody can log in
with and that may only touch the databases that came with the dump.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from holdfast.contracts.local_servers import ADMIN
from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.mysql.client.connection import Session, WireError, name, pattern
from holdfast.engines.mysql.client.tools import MARIADB
from holdfast.engines.mysql.dump.script import TOKEN, tokens
from holdfast.engines.mysql.dump.statement_rules import CODE, unquoted
from holdfast.engines.mysql.dump.stored_code import Code

OWNER = "holdfast_imported"
_ACCOUNT = f"`{OWNER}`@`localhost`"
_ALGORITHMS = ("UNDEFINED", "MERGE", "TEMPTABLE")
_OPENER = re.compile(rb"/\*M?!\d*")


def readying(flavour: str, databases: Iterable[str]) -> list[str]:
    """Statements that make the account and let it work in these databases. Repeatable."""
    locked = (
        "IDENTIFIED VIA mysql_native_password USING 'invalid'"
        if flavour == MARIADB
        else "IDENTIFIED BY RANDOM PASSWORD"
    )
    creation = f"CREATE USER IF NOT EXISTS {_ACCOUNT} {locked} ACCOUNT LOCK"
    return [
        creation,
        *(f"GRANT ALL PRIVILEGES ON {pattern(database)}.* TO {_ACCOUNT}" for database in databases),
    ]


def owned(code: Code, *, by_owner: bool) -> Code:
    """Its statement with the account as definer, or without any: then it is who makes it.

    The beginning is written anew, outside of comments that a server may or may not read.
    """
    statement = code.statement
    words, at, opener = _beginning(statement)
    definer = [f"DEFINER={_ACCOUNT}"] if by_owner else []
    head = ["CREATE", *words.algorithm, *definer, *words.security, *words.aggregate]
    return replace(code, statement=" ".join(head).encode() + b" " + opener + statement[at:])


def invoked(view: Code) -> Code:
    """Its statement with the rights of whoever uses it; it belongs to whoever makes it."""
    words, at, opener = _beginning(view.statement)
    head = ["CREATE", *words.algorithm, "SQL SECURITY INVOKER"]
    return replace(view, statement=" ".join(head).encode() + b" " + opener + view.statement[at:])


def replacing(view: Code) -> Code:
    """Its statement in place of a view of the same name."""
    words, at, opener = _beginning(view.statement)
    user, host = _definer(view.statement)
    definer = f"DEFINER={name(user)}" + (f"@{name(host)}" if host else "")
    head = ["CREATE OR REPLACE", *words.algorithm, *([definer] if user else []), *words.security]
    return replace(view, statement=" ".join(head).encode() + b" " + opener + view.statement[at:])


def bounded(code: Code, owner: str) -> Code:
    """Its statement with the definer it had; with `owner`, where that would be an administrator
    of ours or who makes it."""
    words, at, opener = _beginning(code.statement)
    user, host = _definer(code.statement)
    if not user or user == ADMIN or user.upper().startswith("CURRENT_"):
        user, host = owner, "%"
    definer = f"DEFINER={name(user)}" + (f"@{name(host)}" if host else "")
    head = ["CREATE", *words.algorithm, definer, *words.security, *words.aggregate]
    statement = " ".join(head).encode() + b" " + opener + code.statement[at:]
    return replace(code, statement=statement)


def _definer(statement: bytes) -> tuple[str, str]:
    """User and host as the beginning names them; a role has no host."""
    texts = [text for _, text in tokens(statement, 16)]
    for at in range(len(texts) - 2):
        if texts[at].upper() in CODE:
            break
        if texts[at].upper() == "DEFINER" and texts[at + 1] == "=":
            user, mark, host = _split(texts[at + 2])
            rest = texts[at + 3 : at + 5]
            if not mark and rest and rest[0].startswith("@"):
                host = rest[0][1:] or rest[1]
            return user, unquoted(host)
    return "", ""


def _split(token: str) -> tuple[str, str, str]:
    """What is not quoted may be a user and a host in one word."""
    return (unquoted(token), "", "") if token[:1] in "`'\"" else token.partition("@")


def homeless(session: Session, codes: Iterable[Code]) -> Iterator[str]:
    """A sentence for each definer whose account is not on the server."""
    owned: dict[tuple[str, str], list[Code]] = {}
    for code in codes:
        user, host = _definer(code.statement)
        if user and not user.upper().startswith("CURRENT_"):
            owned.setdefault((user, host), []).append(code)
    if not owned:
        return
    try:
        rows = session.rows("SELECT user, host FROM mysql.user")
    except WireError:
        return  # this user may not see who is there
    present = {(_text(user), _text(host)) for user, host in rows}
    for (user, host), theirs in owned.items():
        if (user, host) not in present and (user, host or "%") not in present:
            listed = ", ".join(f"{code.database}.{code.name}" for code in theirs[:5])
            more = f" and {len(theirs) - 5} more" if len(theirs) > 5 else ""
            yield (
                f"the account {user}@{host or '%'} is not on this server: {listed}{more} fail when"
                " they are used, unless they have the rights of whoever uses them"
            )


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


class _Words:
    """What of a beginning is kept."""

    def __init__(self) -> None:
        self.algorithm: list[str] = []
        self.security: list[str] = []
        self.aggregate: list[str] = []

    def take(self, word: str) -> None:
        if word in _ALGORITHMS:
            self.algorithm = [f"ALGORITHM={word}"]
        elif word in ("INVOKER", "DEFINER"):
            self.security = [f"SQL SECURITY {word}"]
        elif word == "AGGREGATE":
            self.aggregate = [word]


def _beginning(statement: bytes) -> tuple[_Words, int, bytes]:
    """What comes before VIEW, TRIGGER and so on; where that word is; the comment it stands in."""
    words, opener, before = _Words(), b"", ""
    for match in TOKEN.finditer(statement):
        text = match.group()
        if _OPENER.fullmatch(text):
            opener = text + b" "
        elif text == b"*/":
            opener = b""
        elif match.lastgroup == "space":
            continue
        elif match.lastgroup == "word":
            word = text.decode(errors="replace").upper()
            if word in CODE:
                return words, match.start(), opener
            if before in ("ALGORITHM", "SECURITY") or word == "AGGREGATE":
                words.take(word)
            before = word
        elif text != b"=":
            before = "-"
    raise EvidenceMissing("a definition of nothing")
