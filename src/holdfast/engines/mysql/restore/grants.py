"""Applies the accounts of a dump, after its databases are in place.

Every line is checked: it may create or change an account or grant to it, and nothing else. The
server's own accounts, and the one we work as, stay as they are.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from holdfast.contracts.engine import Address
from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.mysql.client import facts
from holdfast.engines.mysql.client.connection import Session, WireError, error_number
from holdfast.engines.mysql.client.server_errors import LOST, error_text
from holdfast.engines.mysql.client.tools import MARIADB
from holdfast.engines.mysql.dump import accounts
from holdfast.engines.mysql.dump.script import tokens
from holdfast.engines.mysql.dump.statement_rules import unquoted
from holdfast.engines.mysql.hosting.administrator import limited_grants

_ALLOWED_OPENINGS = (
    ("CREATE", "USER", "IF", "NOT", "EXISTS"),
    ("CREATE", "ROLE", "IF", "NOT", "EXISTS"),
    ("ALTER", "USER"),
    ("SET", "DEFAULT", "ROLE"),
    ("GRANT",),
)


@dataclass(frozen=True)
class Unapplied:
    """A statement about accounts that the server refused, at least for now."""

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
    """Creates accounts and grants their rights.

    Returns what the server refuses: some rights are on code that does not exist yet.
    """
    if not statements:
        return []
    if "CREATE USER" not in facts.privileges(session):
        say(f"accounts are left as they are: user {address.user} may not make any")
        return []
    fitting = [
        allowed
        for statement in statements
        if not _is_reserved(statement, address)
        for part in _with_password(accounts.without_password(statement))
        for allowed in ([part] if address.owner is None else limited_grants(part))
    ]
    return run(session, fitting)


def run(session: Session, statements: Iterable[str]) -> Sequence[Unapplied]:
    refused: list[Unapplied] = []
    for statement in statements:
        try:
            session.execute(statement)
        except WireError as error:
            if error_number(error) in LOST:
                raise
            refused.append(Unapplied(statement, error_text(error)))
    return refused


def undo_statements(session: Session, address: Address, statements: Sequence[str]) -> list[str]:
    """Statements that take back what `statements` are about to create and grant."""
    flavour = facts.server(session)["flavour"]
    present = {account.quoted() for account in accounts.all_accounts(session, flavour)}
    undone: list[str] = []
    for statement in statements:
        if _is_reserved(statement, address):
            continue
        if (granted := _ROLE_GRANTED.match(statement)) is not None:
            undone.insert(0, f"REVOKE {granted[1]} FROM {granted[2]}")
        elif (created := _CREATED.match(statement)) is not None:
            kind, account = created[1], created[2]
            if account not in present:
                undone.append(f"DROP {kind} IF EXISTS {account}")
                continue
            # An old account is stripped; its own rights come back with the old data.
            if kind == "USER":
                word = "FOR" if flavour == MARIADB else "TO"
                undone.append(f"SET DEFAULT ROLE NONE {word} {account}")
            undone.append(f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {account}")
    return undone


_NAME = r"`(?:[^`]|``)*+`(?:@`(?:[^`]|``)*+`)?"
_ROLE_GRANTED = re.compile(rf"GRANT ({_NAME}(?:,{_NAME})*) TO ({_NAME})", re.DOTALL)
_CREATED = re.compile(rf"CREATE (USER|ROLE) IF NOT EXISTS ({_NAME})", re.DOTALL)


def _is_reserved(statement: str, address: Address) -> bool:
    """Whether a statement is about our account or the server's own.

    EvidenceMissing when it is not a statement about accounts.
    """
    statement_tokens = tokens(statement.encode(), 4096)
    upper = tuple(text.upper() for _, text in statement_tokens[:5])
    if not any(upper[: len(opening)] == opening for opening in _ALLOWED_OPENINGS):
        raise EvidenceMissing(f"a statement is not allowed among accounts: {statement[:40]!r}")
    if any(text == ";" for _, text in statement_tokens):
        raise EvidenceMissing("two statements in one line of the accounts")
    # The account stands after TO or FOR, or is the first name.
    if upper[0] in ("GRANT", "SET"):
        word = ("word", "TO" if upper[0] == "GRANT" else "FOR")
        positions = [i for i, token in enumerate(statement_tokens) if token == word]
        at = positions[-1] + 1 if positions else len(statement_tokens)
    else:
        at = 5 if upper[0] == "CREATE" else 2
    user = unquoted(statement_tokens[at][1]) if at < len(statement_tokens) else None
    return user is None or accounts.is_system(user) or user in (address.user, address.owner)


def _with_password(statement: str) -> list[str]:
    """Adds statements that give an existing account the password and the limits of the dump.

    SHOW CREATE USER omits default limits, so these are set first.
    """
    created = _CREATED.match(statement)
    if created is None or " IDENTIFIED " not in statement:
        return [statement]
    rest = statement[created.end() :]
    unlock = "" if " ACCOUNT " in rest else " ACCOUNT UNLOCK"
    defaults = f"ALTER USER {created[2]} {_DEFAULT_LIMITS}{unlock}"
    return [statement, defaults, f"ALTER USER {created[2]}{rest}"]


_DEFAULT_LIMITS = (
    "REQUIRE NONE WITH MAX_QUERIES_PER_HOUR 0 MAX_UPDATES_PER_HOUR 0 MAX_CONNECTIONS_PER_HOUR 0"
    " MAX_USER_CONNECTIONS 0 PASSWORD EXPIRE DEFAULT"
)
