"""Applies the accounts of a dump, after its databases are in place.

Every line is judged: it may make or change an account, grant to it, and nothing else. The server's
own accounts, and the one we work as, stay as they are.
"""

from collections.abc import Callable, Sequence

from holdfast.contracts.engine import Address, Dump
from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.mysql import accounts, facts
from holdfast.engines.mysql.complaints import said
from holdfast.engines.mysql.confining import softened
from holdfast.engines.mysql.judging import unquoted
from holdfast.engines.mysql.script import tokens
from holdfast.engines.mysql.staging import section
from holdfast.engines.mysql.wire import Session, WireError

_OPENINGS = (
    ("CREATE", "USER", "IF", "NOT", "EXISTS"),
    ("CREATE", "ROLE", "IF", "NOT", "EXISTS"),
    ("ALTER", "USER"),
    ("SET", "DEFAULT", "ROLE"),
    ("GRANT",),
)


def apply(
    session: Session,
    address: Address,
    dump: Dump,
    statements: Sequence[str],
    say: Callable[[str], None],
) -> None:
    """What the server does not take is said, account by account: the data is in place already."""
    if not statements:
        return
    flavour = facts.server(session)["flavour"]
    if section(dump, "server")["flavour"] != flavour:
        say(f"accounts are left as they are: those in the dump are not of {flavour}")
        return
    if "CREATE USER" not in facts.privileges(session):
        say(f"accounts are left as they are: user {address.user} may not make any")
        return
    for statement in statements:
        if _concerns_us(statement, address):
            continue
        for each in _with_password(statement):
            for fitting in [each] if address.owner is None else softened(each):
                _run(session, fitting, say)


def _run(session: Session, statement: str, say: Callable[[str], None]) -> None:
    try:
        session.execute(statement)
    except WireError as error:
        opening = statement.partition(" IDENTIFIED ")[0][:120]
        say(f"not applied: {opening}: {said(error)}")


def _concerns_us(statement: str, address: Address) -> bool:
    """EvidenceMissing for what is no statement about accounts."""
    found = tokens(statement.encode(), 4096)
    upper = tuple(text.upper() for _, text in found[:5])
    if not any(upper[: len(opening)] == opening for opening in _OPENINGS):
        raise EvidenceMissing(f"a statement is not allowed among accounts: {statement[:40]!r}")
    if any(text == ";" for _, text in found):
        raise EvidenceMissing("two statements in one line of the accounts")
    user = _about(found, upper)
    return user is None or accounts.is_system(user) or user in (address.user, address.owner)


def _about(found: list[tuple[str, str]], upper: tuple[str, ...]) -> str | None:
    """The user a statement is about: after TO or FOR, else the first name."""
    if upper[0] in ("GRANT", "SET"):
        word = "TO" if upper[0] == "GRANT" else "FOR"
        places = [i for i, (kind, text) in enumerate(found) if kind == "word" and text == word]
        at = places[-1] + 1 if places else len(found)
    else:
        at = 5 if upper[0] == "CREATE" else 2
    return unquoted(found[at][1]) if at < len(found) else None


def _with_password(statement: str) -> list[str]:
    """An account that was there already gets the password of the dump, too."""
    made = "CREATE USER IF NOT EXISTS "
    if not statement.startswith(made) or " IDENTIFIED " not in statement:
        return [statement]
    return [statement, f"ALTER USER {statement.removeprefix(made)}"]
