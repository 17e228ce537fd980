"""Keeps the administrator's rights on a managed server from the addon's owner.

In MariaDB a user who may create accounts can change any account, and one who may write the schema
`mysql` can do anything. So the addon's owner has all rights on all databases but that one and ours,
and creates accounts by procedures that check their arguments. Accounts that got more rights while
the owner was the administrator keep only those that the owner has.
"""

import re
from collections.abc import Iterable, Iterator

from holdfast.contracts.local_servers import ADMIN, LocalServer
from holdfast.engines.mysql.client.connection import Session, WireError, as_text, quote_pattern
from holdfast.engines.mysql.client.tools import MARIADB

GLOBAL_RIGHTS = ("PROCESS", "SHOW DATABASES")
"""The owner's global rights: to see, not to change."""

ALL_DATABASES = "`%`.*"
PROTECTED = {"mysql": "SELECT, EXECUTE", "sys": "SELECT, EXECUTE", "holdfast\\_%": "SHOW VIEW"}
"""Databases (one is a pattern) with fewer rights: of several grants the server applies the one
with the most specific database."""

_RESERVED_NAMES = "^(holdfast|root$|mysql$|mysql[.]|mariadb[.]|PUBLIC$|debian-sys-maint$)"
_SYSTEM_ACCOUNT = re.compile(r"mariadb\.|mysql\.(?:sys|session|infoschema)")
_GLOBAL_GRANT = re.compile(r"GRANT (.+) ON \*\.\* TO ")
_PROCEDURE_HEAD = (
    """DEFINER=`{admin}`@`%` PROCEDURE mysql.{name}({arguments}) SQL SECURITY DEFINER"""
)
_DATABASE_PRIVILEGES = frozenset(
    (
        *("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "REFERENCES", "INDEX", "ALTER"),
        *("CREATE TEMPORARY TABLES", "LOCK TABLES", "EXECUTE", "CREATE VIEW", "SHOW VIEW"),
        *("CREATE ROUTINE", "ALTER ROUTINE", "EVENT", "TRIGGER", "DELETE HISTORY"),
        "SHOW CREATE ROUTINE",
    )
)
"""Privileges that can be granted on a single database."""


def adoption_statements(
    server: LocalServer, owner_credentials: str, admin_credentials: str
) -> list[str]:
    """Statements, one a line, that create the administrator and limit the owner. Repeatable.

    The credentials are clauses of CREATE USER.
    """
    admin, owner = account(ADMIN), account(server.user)
    # With a name that can be read as a pattern the owner could grant on all that it matches.
    pattern_like = set(server.database) & set("_%\\")
    passed_on = "" if pattern_like else " WITH GRANT OPTION"
    return [
        f"CREATE USER IF NOT EXISTS {admin} {admin_credentials};",
        f"ALTER USER {admin} {admin_credentials};",
        f"GRANT ALL PRIVILEGES ON *.* TO {admin} WITH GRANT OPTION;",
        f"CREATE USER IF NOT EXISTS {owner} {owner_credentials};",
        f"ALTER USER {owner} {owner_credentials};",
        f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {owner};",
        f"GRANT {', '.join(GLOBAL_RIGHTS)} ON *.* TO {owner};",
        *database_grants(owner),
        f"GRANT ALL PRIVILEGES ON {quote_pattern(server.database)}.* TO {owner}{passed_on};",
        *procedures(),
    ]


def database_grants(grantee: str, rights: str = "ALL PRIVILEGES") -> list[str]:
    return [
        f"GRANT {rights} ON {ALL_DATABASES} TO {grantee};",
        *(f"GRANT {few} ON `{database}`.* TO {grantee};" for database, few in PROTECTED.items()),
    ]


def account(user: str, host: str = "%") -> str:
    return f"{quoted(user)}@{quoted(host)}"


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def procedures() -> list[str]:
    """Procedures with which the owner manages accounts: no reserved ones, no global rights."""
    user = (
        f"IF login IS NULL OR login = '' OR login RLIKE '{_RESERVED_NAMES}'"
        " OR login LIKE '%\\\\\\\\%' THEN SIGNAL"
        " SQLSTATE '45000' SET MESSAGE_TEXT = 'this name is not for accounts of yours'; END IF;"
    )
    database = (
        "IF place IS NULL OR place = '' OR LOWER(place) IN ('mysql', 'sys', 'performance_schema',"
        " 'information_schema') OR place LIKE 'holdfast\\\\_%' OR place LIKE '%\\\\\\\\%' THEN"
        " SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'accounts get no rights there'; END IF;"
    )
    account_sql = "QUOTE(login), '@''%'''"
    database_sql = (
        "'`', REPLACE(REPLACE(REPLACE(place, '`', '``'), '_', '\\\\_'), '%', '\\\\%'), '`.*'"
    )
    return [
        *_procedure(
            "holdfast_create_user",
            "IN login VARCHAR(80), IN secret TEXT",
            user,
            f"'CREATE USER ', {account_sql}, ' IDENTIFIED BY ', QUOTE(secret)",
        ),
        *_procedure(
            "holdfast_drop_user", "IN login VARCHAR(80)", user, f"'DROP USER ', {account_sql}"
        ),
        *_procedure(
            "holdfast_grant",
            "IN place VARCHAR(64), IN login VARCHAR(80)",
            f"{user} {database}",
            f"'GRANT ALL PRIVILEGES ON ', {database_sql}, ' TO ', {account_sql}",
        ),
        *_procedure(
            "holdfast_revoke",
            "IN place VARCHAR(64), IN login VARCHAR(80)",
            f"{user} {database}",
            f"'REVOKE ALL PRIVILEGES ON ', {database_sql}, ' FROM ', {account_sql}",
        ),
    ]


def _procedure(title: str, arguments: str, checks: str, statement: str) -> list[str]:
    head = _PROCEDURE_HEAD.format(admin=ADMIN, name=title, arguments=arguments)
    return [
        f"DROP PROCEDURE IF EXISTS mysql.{title};",
        f"CREATE {head} BEGIN {checks} SET @holdfast = CONCAT({statement});"
        " PREPARE holdfast FROM @holdfast; SET @holdfast = NULL; EXECUTE holdfast;"
        " DEALLOCATE PREPARE holdfast; END;",
    ]


def limit_accounts(session: Session, flavour: str, owner: str) -> None:
    """Reduces all accounts but ours and the server's own to what an owner may have."""
    rows = session.rows("SELECT user, host FROM mysql.user")
    for user, host in ((as_text(row[0]), as_text(row[1])) for row in rows):
        if user not in (ADMIN, owner) and not _SYSTEM_ACCOUNT.match(user):
            _limit_account(session, user, host)
    _execute(session, _PROTECT_SYSTEM)
    for user, host in session.rows(
        "SELECT DISTINCT user, host FROM mysql.db WHERE db LIKE '%\\\\%%' OR db LIKE '%\\\\_%'"
    ):
        if as_text(user) not in (ADMIN, owner):
            grantee = account(as_text(user), as_text(host))
            _execute(session, _protected_grants(grantee))
    if flavour == MARIADB:
        _execute(session, ("DELETE FROM mysql.proxies_priv", "FLUSH PRIVILEGES"))


_PROTECT_SYSTEM = (
    "DELETE FROM mysql.db WHERE db IN ('mysql', 'sys')"
    " AND (Insert_priv = 'Y' OR Update_priv = 'Y' OR Delete_priv = 'Y' OR Create_priv = 'Y'"
    " OR Drop_priv = 'Y' OR Alter_priv = 'Y' OR Grant_priv = 'Y' OR Trigger_priv = 'Y')"
    " AND user NOT LIKE 'mariadb.%' AND user NOT LIKE 'mysql.%'",
    "DELETE FROM mysql.tables_priv WHERE db IN ('mysql', 'sys')"
    " AND user NOT LIKE 'mariadb.%' AND user NOT LIKE 'mysql.%'",
    "UPDATE mysql.db SET Grant_priv = 'N' WHERE db LIKE '%\\\\%%' OR db LIKE '%\\\\_%'",
    "FLUSH PRIVILEGES",
)


def _limit_account(session: Session, user: str, host: str) -> None:
    grantee = account(user, host)
    try:
        lines = [as_text(row[0]) for row in session.rows(f"SHOW GRANTS FOR {grantee}")]
    except WireError:
        return  # a role, which has no host
    granted = [match[1] for line in lines if (match := _GLOBAL_GRANT.match(line)) is not None]
    privileges = {privilege.strip() for text in granted for privilege in text.split(",")}
    if privileges <= {"USAGE"}:
        return
    every = "ALL PRIVILEGES" in privileges
    data = _DATABASE_PRIVILEGES if every else privileges & _DATABASE_PRIVILEGES
    few = (
        GLOBAL_RIGHTS
        if every
        else tuple(privilege for privilege in GLOBAL_RIGHTS if privilege in privileges)
    )
    statements = [
        f"REVOKE ALL PRIVILEGES ON *.* FROM {grantee}",
        f"REVOKE GRANT OPTION ON *.* FROM {grantee}",
    ]
    if few:
        statements.append(f"GRANT {', '.join(few)} ON *.* TO {grantee}")
    if data:
        rights = "ALL PRIVILEGES" if every else ", ".join(sorted(data))
        statements += [
            f"GRANT {rights} ON {ALL_DATABASES} TO {grantee}",
            *_protected_grants(grantee),
        ]
    _execute(session, statements)


def _protected_grants(grantee: str) -> list[str]:
    """Grants so specific that those on all databases do not apply to the protected ones."""
    return [f"GRANT SHOW VIEW ON `{database}`.* TO {grantee}" for database in PROTECTED]


def _execute(session: Session, statements: Iterable[str]) -> None:
    for statement in statements:
        session.execute(statement)


_GRANT_STATEMENT = re.compile(r"GRANT (?P<what>.+?) ON (?P<where>\S+) TO (?P<rest>.+)", re.DOTALL)


def limited_grants(statement: str) -> Iterator[str]:
    """A grant of a dump, reduced to what the owner may have; other statements as they are.

    Yields nothing for a grant on the server's own databases.
    """
    if statement.startswith("GRANT PROXY "):
        return
    match = _GRANT_STATEMENT.fullmatch(statement)
    if match is None:
        yield statement
        return
    privileges, scope, rest = match["what"], match["where"], match["rest"]
    database = scope.partition(".")[0].strip("`").replace("\\", "")
    if scope != "*.*":
        if database.lower() not in ("mysql", "sys") and not set(database) & set("%_"):
            yield statement
        elif database.lower() not in ("mysql", "sys"):
            plain = rest.replace(" WITH GRANT OPTION", "")
            yield f"GRANT {privileges} ON {scope} TO {plain}"
            yield from _protected_grants(plain.partition(" ")[0])
        return
    yield from _limited_global_grant(privileges, rest.replace(" WITH GRANT OPTION", ""))


def _limited_global_grant(privileges: str, rest: str) -> Iterator[str]:
    """Reduces a grant on *.*; `rest` is the account and what follows it in the statement."""
    granted = {privilege.strip() for privilege in privileges.split(",")}
    every = "ALL PRIVILEGES" in granted
    few = (
        GLOBAL_RIGHTS
        if every
        else tuple(privilege for privilege in GLOBAL_RIGHTS if privilege in granted)
    )
    yield f"GRANT {', '.join(few) or 'USAGE'} ON *.* TO {rest}"
    data = _DATABASE_PRIVILEGES if every else granted & _DATABASE_PRIVILEGES
    if data:
        grantee = rest.partition(" IDENTIFIED ")[0].partition(" REQUIRE ")[0].partition(" WITH ")[0]
        rights = "ALL PRIVILEGES" if every else ", ".join(sorted(data))
        yield f"GRANT {rights} ON {ALL_DATABASES} TO {grantee}"
        yield from _protected_grants(grantee)
