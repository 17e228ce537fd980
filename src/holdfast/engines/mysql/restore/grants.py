"""Applies the accounts of a dump, after its databases are in place.

Every line is judged: it may make or change an account, grant to it, and nothing else. The server's
own accounts, and the one we work as, stay as they are.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from holdfast.contracts.engine import Address
from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.mysql.client import facts
from holdfast.engines.mysql.client.connection import Session, WireError, code
from holdfast.engines.mysql.client.server_errors import LOST, said
from holdfast.engines.mysql.client.tools import MARIADB
from holdfast.engines.mysql.dump import accounts
from holdfast.engines.mysql.dump.script import tokens
from holdfast.engines.mysql.dump.statement_rules import unquoted
from holdfast.engines.mysql.hosting.administrator import softened

_OPENINGS = (
    ("CREATE", "USER", "IF", "NOT", "EXISTS"),
    ("CREATE", "ROLE", "IF", "NOT", "EXISTS"),
    ("ALTER", "USER"),
    ("SET", "DEFAULT", "ROLE"),
    ("GRANT",),
)


@dataclass(frozen=True)
class Unapplied:
    """A statement about accounts that the server does not take, at least not now."""

    statement: str
    reason: str

    def sentence(self) -> str:
        return f"not applied: {self.statement.partition(' IDENTIFIED ')[0][:120]}: {self.reason}"


def apply(
    session: Session,
    address: Address,
    statements: Sequence[str],
    say: Callable[[str], None],
) -> Sequence[Unapplied]:
    """Makes accounts and gives them their rights.

    Returns what the server does not take: some rights are on code that is not there yet.
    """
    if not statements:
        return []
    if "CREATE USER" not in facts.privileges(session):
        say(f"accounts are left as they are: user {address.user} may not make any")
        return []
    fitting = [
        allowed
        for statement in statements
        if not _concerns_us(statement, address)
        for part in _with_password(accounts.without_password(statement))
        for allowed in ([part] if address.owner is None else softened(part))
    ]
    return run(session, fitting)


def run(session: Session, statements: Iterable[str]) -> Sequence[Unapplied]:
    refused: list[Unapplied] = []
    for statement in statements:
        try:
            session.execute(statement)
        except WireError as error:
            if code(error) in LOST:
                raise
            refused.append(Unapplied(statement, said(error)))
    return refused


def undoing(session: Session, address: Address, statements: Sequence[str]) -> list[str]:
    """Statements that take away what `statements` are going to make and give."""
    flavour = facts.server(session)["flavour"]
    present = {account.quoted() for account in accounts.everyone(session, flavour)}
    undone: list[str] = []
    for statement in statements:
        if _concerns_us(statement, address):
            continue
        if (granted := _ROLE_GRANTED.match(statement)) is not None:
            undone.insert(0, f"REVOKE {granted[1]} FROM {granted[2]}")
        elif (created := _CREATED.match(statement)) is not None:
            undone += _without(created[1], created[2], flavour, present=created[2] in present)
    return undone


def _without(kind: str, account: str, flavour: str, *, present: bool) -> list[str]:
    """As it was before: not there, or without any right; its own ones are given again."""
    if not present:
        return [f"DROP {kind} IF EXISTS {account}"]
    revoked = [f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {account}"]
    if kind == "USER":
        word = "FOR" if flavour == MARIADB else "TO"
        revoked.insert(0, f"SET DEFAULT ROLE NONE {word} {account}")
    return revoked


_NAME = r"`(?:[^`]|``)*+`(?:@`(?:[^`]|``)*+`)?"
_ROLE_GRANTED = re.compile(rf"GRANT ({_NAME}(?:,{_NAME})*) TO ({_NAME})", re.DOTALL)
_CREATED = re.compile(rf"CREATE (USER|ROLE) IF NOT EXISTS ({_NAME})", re.DOTALL)


def _concerns_us(statement: str, address: Address) -> bool:
    """EvidenceMissing for what is no statement about accounts."""
    statement_tokens = tokens(statement.encode(), 4096)
    upper = tuple(text.upper() for _, text in statement_tokens[:5])
    if not any(upper[: len(opening)] == opening for opening in _OPENINGS):
        raise EvidenceMissing(f"a statement is not allowed among accounts: {statement[:40]!r}")
    if any(text == ";" for _, text in statement_tokens):
        raise EvidenceMissing("two statements in one line of the accounts")
    user = _about(statement_tokens, upper)
    return user is None or accounts.is_system(user) or user in (address.user, address.owner)


def _about(tokens: list[tuple[str, str]], upper: tuple[str, ...]) -> str | None:
    """The user a statement is about: after TO or FOR, else the first name."""
    if upper[0] in ("GRANT", "SET"):
        word = "TO" if upper[0] == "GRANT" else "FOR"
        places = [i for i, (kind, text) in enumerate(tokens) if kind == "word" and text == word]
        at = places[-1] + 1 if places else len(tokens)
    else:
        at = 5 if upper[0] == "CREATE" else 2
    return unquoted(tokens[at][1]) if at < len(tokens) else None


def _with_password(statement: str) -> list[str]:
    """An account that was there already gets the password of the dump, too, and its limits.

    A server does not show what is as usual, so that is set first.
    """
    created = _CREATED.match(statement)
    if created is None or " IDENTIFIED " not in statement:
        return [statement]
    rest = statement[created.end() :]
    usual = f"ALTER USER {created[2]} {_USUAL}{'' if ' ACCOUNT ' in rest else ' ACCOUNT UNLOCK'}"
    return [statement, usual, f"ALTER USER {created[2]}{rest}"]


_USUAL = (
    "REQUIRE NONE WITH MAX_QUERIES_PER_HOUR 0 MAX_UPDATES_PER_HOUR 0 MAX_CONNECTIONS_PER_HOUR 0"
    " MAX_USER_CONNECTIONS 0 PASSWORD EXPIRE DEFAULT"
)
