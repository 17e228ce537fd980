"""Rewrites the definers of views, routines, triggers and events.

They run with the rights of their definer, whichever user calls them, and events run by themselves.
So the code of a foreign dump belongs to an account that cannot log in and has rights only on the
databases that came with the dump.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from holdfast.contracts.local_servers import ADMIN
from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.mysql.client.connection import (
    Session,
    WireError,
    as_text,
    quote_name,
    quote_pattern,
)
from holdfast.engines.mysql.client.tools import MARIADB
from holdfast.engines.mysql.dump.script import TOKEN, tokens
from holdfast.engines.mysql.dump.statement_rules import CODE, unquoted
from holdfast.engines.mysql.dump.stored_code import Code

OWNER = "holdfast_imported"
_ACCOUNT = f"`{OWNER}`@`localhost`"
_ALGORITHMS = ("UNDEFINED", "MERGE", "TEMPTABLE")
_OPENER = re.compile(rb"/\*M?!\d*")


def account_statements(flavour: str, databases: Iterable[str]) -> list[str]:
    """Statements that create the account with rights on these databases. Repeatable."""
    locked = (
        "IDENTIFIED VIA mysql_native_password USING 'invalid'"
        if flavour == MARIADB
        else "IDENTIFIED BY RANDOM PASSWORD"
    )
    creation = f"CREATE USER IF NOT EXISTS {_ACCOUNT} {locked} ACCOUNT LOCK"
    return [
        creation,
        *(
            f"GRANT ALL PRIVILEGES ON {quote_pattern(database)}.* TO {_ACCOUNT}"
            for database in databases
        ),
    ]


def with_owner(code: Code, *, by_owner: bool) -> Code:
    """Defined by the account, or without a definer, which is then the user who creates it.

    The head is written anew, outside of comments that a server may or may not execute.
    """
    kept_words, rest = _split_head(code.statement)
    definer = [f"DEFINER={_ACCOUNT}"] if by_owner else []
    head = ["CREATE", *kept_words.algorithm, *definer, *kept_words.security, *kept_words.aggregate]
    return _with_head(code, head, rest)


def with_invoker_rights(view: Code) -> Code:
    """A view with the rights of its user, and the user who creates it as definer."""
    kept_words, rest = _split_head(view.statement)
    return _with_head(view, ["CREATE", *kept_words.algorithm, "SQL SECURITY INVOKER"], rest)


def as_replacement(view: Code) -> Code:
    """A view that replaces one of the same name."""
    kept_words, rest = _split_head(view.statement)
    user, host = _definer(view.statement)
    definer = [_definer_clause(user, host)] if user else []
    head = ["CREATE OR REPLACE", *kept_words.algorithm, *definer, *kept_words.security]
    return _with_head(view, head, rest)


def with_known_definer(code: Code, owner: str) -> Code:
    """With the definer it had, but `owner` instead of our administrator or of the current user."""
    kept_words, rest = _split_head(code.statement)
    user, host = _definer(code.statement)
    if not user or user == ADMIN or user.upper().startswith("CURRENT_"):
        user, host = owner, "%"
    definer = _definer_clause(user, host)
    head = ["CREATE", *kept_words.algorithm, definer, *kept_words.security, *kept_words.aggregate]
    return _with_head(code, head, rest)


def _with_head(code: Code, head: Sequence[str], rest: bytes) -> Code:
    return replace(code, statement=" ".join(head).encode() + b" " + rest)


def _definer_clause(user: str, host: str) -> str:
    return f"DEFINER={quote_name(user)}" + (f"@{quote_name(host)}" if host else "")


def _definer(statement: bytes) -> tuple[str, str]:
    """User and host of the definer in the head; a role has no host."""
    texts = [text for _, text in tokens(statement, 16)]
    for at in range(len(texts) - 2):
        if texts[at].upper() in CODE:
            break
        if texts[at].upper() == "DEFINER" and texts[at + 1] == "=":
            # An unquoted definer is one word: `user@host`.
            token = texts[at + 2]
            user, mark, host = (
                (unquoted(token), "", "") if token[:1] in "`'\"" else token.partition("@")
            )
            rest = texts[at + 3 : at + 5]
            if not mark and rest and rest[0].startswith("@"):
                host = rest[0][1:] or rest[1]
            return user, unquoted(host)
    return "", ""


def missing_definers(session: Session, codes: Iterable[Code]) -> Iterator[str]:
    """Yields a sentence for each definer whose account is not on the server."""
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
        return  # this user may not read the accounts
    present = {(as_text(user), as_text(host)) for user, host in rows}
    for (user, host), objects in owned.items():
        if (user, host) not in present and (user, host or "%") not in present:
            listed = ", ".join(f"{code.database}.{code.name}" for code in objects[:5])
            more = f" and {len(objects) - 5} more" if len(objects) > 5 else ""
            yield (
                f"the account {user}@{host or '%'} is not on this server: {listed}{more} fail when"
                " they are used, unless they have the rights of their user"
            )


class _Head:
    """The clauses of a definition's head that are kept."""

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


def _split_head(statement: bytes) -> tuple[_Head, bytes]:
    """The head before VIEW, TRIGGER and so on, and the rest, in its executable comment if any."""
    kept_words, opener, before = _Head(), b"", ""
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
                return kept_words, opener + statement[match.start() :]
            if before in ("ALGORITHM", "SECURITY") or word == "AGGREGATE":
                kept_words.take(word)
            before = word
        elif text != b"=":
            before = "-"
    raise EvidenceMissing("a definition of nothing")
