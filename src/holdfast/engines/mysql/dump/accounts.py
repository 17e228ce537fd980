"""Users, roles and grants of a server as a script: one statement a line, made of what SHOW says.

The server's own users and the administrator are left out: a restore must not change who may
administer the target. Hashes are dumped, never passwords.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.contracts.local_servers import ADMIN
from holdfast.engines.mysql.client.connection import Session, WireError
from holdfast.engines.mysql.client.object_names import LOADER
from holdfast.engines.mysql.client.tools import MARIADB

SYSTEM_USERS = ("root", "mysql", "debian-sys-maint", "healthcheck", ADMIN)
_EVERYBODY = "PUBLIC"
"""A role that all accounts of MariaDB 10.11 and newer have."""
_INTERNAL = ("mariadb.", "mysql.")
_SYSTEM_PREFIXES = ("mariadb.", "mysql.", LOADER)
HEAD = "-- Accounts, their roles and grants, written by Holdfast from what the server shows"
TRAILER = "-- Accounts completed"
NOTHING = "-- The user that made this dump may not read the accounts: there are none in it"


@dataclass(frozen=True)
class Account:
    user: str
    host: str
    role: bool

    def quoted(self) -> str:
        user, host = (part.replace("`", "``") for part in (self.user, self.host))
        return f"`{user}`" if self.role and not self.host else f"`{user}`@`{host}`"


def is_system(user: str) -> bool:
    return user in SYSTEM_USERS or user.startswith(_SYSTEM_PREFIXES)


def readable(session: Session) -> bool:
    """May we see the accounts of others?"""
    try:
        session.rows("SELECT user FROM mysql.user LIMIT 1")
    except WireError:
        return False
    return True


def listed(session: Session, flavour: str, owner: str | None) -> list[Account]:
    """All accounts but the server's own and ours; roles first, as others are granted them."""
    ours = str(session.value("SELECT current_user()")).rpartition("@")[0]
    return [
        account
        for account in everyone(session, flavour)
        if not is_system(account.user) and account.user not in (ours, owner)
    ]


def everyone(session: Session, flavour: str) -> list[Account]:
    """All accounts but those that the server needs for itself; roles first."""
    role = "is_role = 'Y'" if flavour == MARIADB else "false"
    rows = session.rows(f"SELECT user, host, {role} FROM mysql.user ORDER BY 3 DESC, 1, 2")  # noqa: S608
    accounts = [Account(_text(row[0]), _text(row[1]), bool(row[2])) for row in rows]
    return [a for a in accounts if not a.user.startswith(_INTERNAL) and a.user != _EVERYBODY]


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def script(session: Session, flavour: str, owner: str | None = None) -> str:
    """The whole member. Statements end in `;` at the end of a line; no line lies inside one."""
    if not readable(session):
        return "\n".join([HEAD, NOTHING, TRAILER, ""])
    accounts = listed(session, flavour, owner)
    creations = [_creation(session, flavour, account) for account in accounts]
    lines = [
        *(creation for creation, _ in creations),
        *(line for account in accounts for line in _grants(session, account)),
        *_grants_to_everybody(session, flavour),
        *(default for _, default in creations if default),  # a default role has to be granted first
    ]
    return "\n".join([HEAD, *(f"{line};" for line in lines), TRAILER, ""])


def _creation(session: Session, flavour: str, account: Account) -> tuple[str, str]:
    """How to make it, and how to give it its default roles where that is said apart."""
    if account.role:
        return f"CREATE ROLE IF NOT EXISTS {account.quoted()}", ""
    if flavour != MARIADB:  # hashes may hold any byte
        session.execute("SET SESSION print_identified_with_as_hex = ON")
    shown = _text(session.value(f"SHOW CREATE USER {account.quoted()}"))
    definition = shown.removeprefix("CREATE USER ")
    first, marker, roles = definition.partition(" DEFAULT ROLE ")
    if not marker:
        return f"CREATE USER IF NOT EXISTS {definition}", ""
    role, rest = _until(roles, (" REQUIRE ", " WITH ", " PASSWORD ", " ACCOUNT ", " COMMENT "))
    default = f"ALTER USER {account.quoted()} DEFAULT ROLE {role}"
    return f"CREATE USER IF NOT EXISTS {first}{rest}", default


def _until(text: str, words: tuple[str, ...]) -> tuple[str, str]:
    at = min((position for word in words if (position := text.find(word)) >= 0), default=len(text))
    return text[:at], text[at:]


def _grants(session: Session, account: Account) -> Iterator[str]:
    for row in session.rows(f"SHOW GRANTS FOR {account.quoted()}"):
        yield without_password(_text(row[0]))


def _grants_to_everybody(session: Session, flavour: str) -> list[str]:
    if flavour != MARIADB:
        return []
    try:
        return [_text(row[0]) for row in session.rows(f"SHOW GRANTS FOR {_EVERYBODY}")]
    except WireError:
        return []  # older than 10.11


def without_password(grant: str) -> str:
    """A grant that does not set the account's password anew, which would end its expiry."""
    match = _WITH_PASSWORD.fullmatch(grant)
    return grant if match is None else match["grant"] + match["rest"]


_WITH_PASSWORD = re.compile(
    r"(?P<grant>GRANT .+? TO `(?:[^`]|``)*+`(?:@`(?:[^`]|``)*+`)?)"
    r" IDENTIFIED (?:BY PASSWORD|VIA|WITH) .*?(?P<rest>(?: REQUIRE .*| WITH .*)?)",
    re.DOTALL,
)
