"""Writes users, roles and grants of a server as a script, one statement a line, from SHOW.

The server's own users and the administrator are left out: a restore must not change who may
administer the target. Hashes are dumped, never passwords.
"""

import re
from contextlib import suppress
from dataclasses import dataclass

from holdfast.contracts.local_servers import ADMIN
from holdfast.engines.mysql.client.connection import Session, WireError, as_text
from holdfast.engines.mysql.client.object_names import LOADER_PREFIX
from holdfast.engines.mysql.client.tools import MARIADB

SYSTEM_USERS = ("root", "mysql", "debian-sys-maint", "healthcheck", ADMIN)
_PUBLIC_ROLE = "PUBLIC"
"""The role that all accounts of MariaDB 10.11 and newer have."""
_INTERNAL = ("mariadb.", "mysql.")
_SYSTEM_PREFIXES = ("mariadb.", "mysql.", LOADER_PREFIX)
HEAD = "-- Accounts, their roles and grants, written by Holdfast from what the server shows"
TRAILER = "-- Accounts completed"
UNREADABLE = "-- The user that made this dump may not read the accounts: there are none in it"


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
    """Whether this session may read the accounts of others."""
    try:
        session.rows("SELECT user FROM mysql.user LIMIT 1")
    except WireError:
        return False
    return True


def accounts_to_dump(session: Session, flavour: str, owner: str | None) -> list[Account]:
    """All accounts but the server's own and ours; roles first, because they are granted later."""
    ours = str(session.value("SELECT current_user()")).rpartition("@")[0]
    return [
        account
        for account in all_accounts(session, flavour)
        if not is_system(account.user) and account.user not in (ours, owner)
    ]


def all_accounts(session: Session, flavour: str) -> list[Account]:
    """All accounts but those that the server itself needs; roles first."""
    role = "is_role = 'Y'" if flavour == MARIADB else "false"
    rows = session.rows(f"SELECT user, host, {role} FROM mysql.user ORDER BY 3 DESC, 1, 2")  # noqa: S608
    accounts = [Account(as_text(row[0]), as_text(row[1]), bool(row[2])) for row in rows]
    return [a for a in accounts if not a.user.startswith(_INTERNAL) and a.user != _PUBLIC_ROLE]


def script(session: Session, flavour: str, owner: str | None = None) -> str:
    """The whole member: one statement a line, each ending in `;`."""
    if not readable(session):
        return "\n".join([HEAD, UNREADABLE, TRAILER, ""])
    accounts = accounts_to_dump(session, flavour, owner)
    public_grants: list[str] = []
    if flavour == MARIADB:
        with suppress(WireError):  # older than 10.11
            rows = session.rows(f"SHOW GRANTS FOR {_PUBLIC_ROLE}")
            public_grants = [as_text(row[0]) for row in rows]
    creations = [_creation_statements(session, flavour, account) for account in accounts]
    lines = [
        *(creation for creation, _ in creations),
        *(
            without_password(as_text(row[0]))
            for account in accounts
            for row in session.rows(f"SHOW GRANTS FOR {account.quoted()}")
        ),
        *public_grants,
        *(default for _, default in creations if default),  # a default role has to be granted first
    ]
    return "\n".join([HEAD, *(f"{line};" for line in lines), TRAILER, ""])


def _creation_statements(session: Session, flavour: str, account: Account) -> tuple[str, str]:
    """The statement that creates an account, and the one that sets its default roles, if any."""
    if account.role:
        return f"CREATE ROLE IF NOT EXISTS {account.quoted()}", ""
    if flavour != MARIADB:  # hashes may hold any byte
        session.execute("SET SESSION print_identified_with_as_hex = ON")
    shown = as_text(session.value(f"SHOW CREATE USER {account.quoted()}"))
    definition = shown.removeprefix("CREATE USER ")
    first, marker, roles = definition.partition(" DEFAULT ROLE ")
    if not marker:
        return f"CREATE USER IF NOT EXISTS {definition}", ""
    words = (" REQUIRE ", " WITH ", " PASSWORD ", " ACCOUNT ", " COMMENT ")
    at = min(
        (position for word in words if (position := roles.find(word)) >= 0), default=len(roles)
    )
    default = f"ALTER USER {account.quoted()} DEFAULT ROLE {roles[:at]}"
    return f"CREATE USER IF NOT EXISTS {first}{roles[at:]}", default


def without_password(grant: str) -> str:
    """A grant without the account's password: setting it again would end its expiry."""
    match = _WITH_PASSWORD.fullmatch(grant)
    return grant if match is None else match["grant"] + match["rest"]


_WITH_PASSWORD = re.compile(
    r"(?P<grant>GRANT .+? TO `(?:[^`]|``)*+`(?:@`(?:[^`]|``)*+`)?)"
    r" IDENTIFIED (?:BY PASSWORD|VIA|WITH) .*?(?P<rest>(?: REQUIRE .*| WITH .*)?)",
    re.DOTALL,
)
