"""Keeps the administrator of a server that Holdfast runs to itself.

MariaDB protects no account from who may make accounts, and nothing from who may write the schema
`mysql`. So the addon's owner has every right on every database but that one and ours, and makes
accounts by procedures that look at what they are asked. Accounts that somebody gave more to, while
the owner was the administrator, keep of it what the owner has.
"""

import re
from collections.abc import Iterable, Iterator

from holdfast.contracts.local_servers import ADMIN, LocalServer
from holdfast.engines.mysql.client.connection import Session, WireError, pattern
from holdfast.engines.mysql.client.tools import MARIADB

GLOBAL = ("PROCESS", "SHOW DATABASES")
"""What the owner has beside rights on databases: to see, and not to change."""

EVERY = "`%`.*"
GUARDED = {"mysql": "SELECT, EXECUTE", "sys": "SELECT, EXECUTE", "holdfast\\_%": "SHOW VIEW"}
"""Databases (a pattern is one of these) with rights of their own: the server takes the row that
says most precisely which database it is about."""

_RESERVED = "^(holdfast|root$|mysql$|mysql[.]|mariadb[.]|PUBLIC$|debian-sys-maint$)"
_SYSTEM = re.compile(r"mariadb\.|mysql\.(?:sys|session|infoschema)")
_ON_ALL = re.compile(r"GRANT (.+) ON \*\.\* TO ")
_MAKES = """DEFINER=`{admin}`@`%` PROCEDURE mysql.{name}({arguments}) SQL SECURITY DEFINER"""
_DATA = frozenset(
    (
        *("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "REFERENCES", "INDEX", "ALTER"),
        *("CREATE TEMPORARY TABLES", "LOCK TABLES", "EXECUTE", "CREATE VIEW", "SHOW VIEW"),
        *("CREATE ROUTINE", "ALTER ROUTINE", "EVENT", "TRIGGER", "DELETE HISTORY"),
        "SHOW CREATE ROUTINE",
    )
)
"""Privileges there are on a single database."""


def adoption(server: LocalServer, owner_credentials: str, admin_credentials: str) -> list[str]:
    """Statements, each in a line, that make a server ours. Repeatable. `how` and `admins` say how
    the owner and the administrator get in."""
    admin, owner = account(ADMIN), account(server.user)
    return [
        f"CREATE USER IF NOT EXISTS {admin} {admin_credentials};",
        f"ALTER USER {admin} {admin_credentials};",
        f"GRANT ALL PRIVILEGES ON *.* TO {admin} WITH GRANT OPTION;",
        f"CREATE USER IF NOT EXISTS {owner} {owner_credentials};",
        f"ALTER USER {owner} {owner_credentials};",
        f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {owner};",
        f"GRANT {', '.join(GLOBAL)} ON *.* TO {owner};",
        *guarded(owner),
        f"GRANT ALL PRIVILEGES ON {pattern(server.database)}.* TO {owner}{_passed_on(server)};",
        *procedures(),
    ]


def _passed_on(server: LocalServer) -> str:
    """A name that could be read as a pattern would let its owner grant on what the pattern fits."""
    return "" if set(server.database) & set("_%\\") else " WITH GRANT OPTION"


def guarded(grantee: str, rights: str = "ALL PRIVILEGES") -> list[str]:
    return [
        f"GRANT {rights} ON {EVERY} TO {grantee};",
        *(f"GRANT {few} ON `{database}`.* TO {grantee};" for database, few in GUARDED.items()),
    ]


def account(user: str, host: str = "%") -> str:
    return f"{quoted(user)}@{quoted(host)}"


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def procedures() -> list[str]:
    """How the owner makes accounts: no name of the server's or ours, and nothing but databases."""
    user = (
        f"IF login IS NULL OR login = '' OR login RLIKE '{_RESERVED}' OR login LIKE '%\\\\\\\\%'"
        " THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'this name is not for accounts of"
        " yours'; END IF;"
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
    head = _MAKES.format(admin=ADMIN, name=title, arguments=arguments)
    return [
        f"DROP PROCEDURE IF EXISTS mysql.{title};",
        f"CREATE {head} BEGIN {checks} SET @holdfast = CONCAT({statement});"
        " PREPARE holdfast FROM @holdfast; SET @holdfast = NULL; EXECUTE holdfast;"
        " DEALLOCATE PREPARE holdfast; END;",
    ]


def weaken(session: Session, flavour: str, owner: str) -> None:
    """No account but ours and the server's own has more than an owner may have."""
    rows = session.rows("SELECT user, host FROM mysql.user")
    for user, host in ((_text(row[0]), _text(row[1])) for row in rows):
        if user not in (ADMIN, owner) and not _SYSTEM.match(user):
            _weaken_one(session, user, host)
    _execute(session, _GUARDS)
    for user, host in session.rows(
        "SELECT DISTINCT user, host FROM mysql.db WHERE db LIKE '%\\\\%%' OR db LIKE '%\\\\_%'"
    ):
        if _text(user) not in (ADMIN, owner):
            grantee = account(_text(user), _text(host))
            _execute(session, (f"GRANT SHOW VIEW ON `{d}`.* TO {grantee}" for d in GUARDED))
    if flavour == MARIADB:
        _execute(session, ("DELETE FROM mysql.proxies_priv", "FLUSH PRIVILEGES"))


_GUARDS = (
    "DELETE FROM mysql.db WHERE db IN ('mysql', 'sys')"
    " AND (Insert_priv = 'Y' OR Update_priv = 'Y' OR Delete_priv = 'Y' OR Create_priv = 'Y'"
    " OR Drop_priv = 'Y' OR Alter_priv = 'Y' OR Grant_priv = 'Y' OR Trigger_priv = 'Y')"
    " AND user NOT LIKE 'mariadb.%' AND user NOT LIKE 'mysql.%'",
    "DELETE FROM mysql.tables_priv WHERE db IN ('mysql', 'sys')"
    " AND user NOT LIKE 'mariadb.%' AND user NOT LIKE 'mysql.%'",
    "UPDATE mysql.db SET Grant_priv = 'N' WHERE db LIKE '%\\\\%%' OR db LIKE '%\\\\_%'",
    "FLUSH PRIVILEGES",
)


def _weaken_one(session: Session, user: str, host: str) -> None:
    grantee = account(user, host)
    try:
        lines = [_text(row[0]) for row in session.rows(f"SHOW GRANTS FOR {grantee}")]
    except WireError:
        return  # a role is another one's, and has no host
    privileges = {privilege for line in lines for privilege in _global(line)}
    if privileges <= {"USAGE"}:
        return
    every = "ALL PRIVILEGES" in privileges
    data = _DATA if every else privileges & _DATA
    few = GLOBAL if every else tuple(privilege for privilege in GLOBAL if privilege in privileges)
    statements = [
        f"REVOKE ALL PRIVILEGES ON *.* FROM {grantee}",
        f"REVOKE GRANT OPTION ON *.* FROM {grantee}",
    ]
    if few:
        statements.append(f"GRANT {', '.join(few)} ON *.* TO {grantee}")
    if data:
        rights = "ALL PRIVILEGES" if every else ", ".join(sorted(data))
        statements += [
            f"GRANT {rights} ON {EVERY} TO {grantee}",
            *(f"GRANT SHOW VIEW ON `{database}`.* TO {grantee}" for database in GUARDED),
        ]
    _execute(session, statements)


def _global(line: str) -> set[str]:
    match = _ON_ALL.match(line)
    return set() if match is None else {privilege.strip() for privilege in match[1].split(",")}


def _execute(session: Session, statements: Iterable[str]) -> None:
    for statement in statements:
        session.execute(statement)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


_GRANT = re.compile(r"GRANT (?P<what>.+?) ON (?P<where>\S+) TO (?P<rest>.+)", re.DOTALL)


def softened(statement: str) -> Iterator[str]:
    """A grant of a dump as far as the owner may have it; other statements as they are.

    Nothing for what would let the account write the server's own tables.
    """
    if statement.startswith("GRANT PROXY "):
        return
    match = _GRANT.fullmatch(statement)
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
            grantee = plain.partition(" ")[0]
            yield from (f"GRANT SHOW VIEW ON `{guard}`.* TO {grantee}" for guard in GUARDED)
        return
    yield from _everywhere(privileges, rest.replace(" WITH GRANT OPTION", ""))


def _everywhere(privileges: str, rest: str) -> Iterator[str]:
    """Of rights on the whole server. `rest` begins with the account and says how it gets in."""
    granted = {privilege.strip() for privilege in privileges.split(",")}
    every = "ALL PRIVILEGES" in granted
    few = GLOBAL if every else tuple(privilege for privilege in GLOBAL if privilege in granted)
    yield f"GRANT {', '.join(few) or 'USAGE'} ON *.* TO {rest}"
    data = _DATA if every else granted & _DATA
    if data:
        grantee = rest.partition(" IDENTIFIED ")[0].partition(" REQUIRE ")[0].partition(" WITH ")[0]
        rights = "ALL PRIVILEGES" if every else ", ".join(sorted(data))
        yield f"GRANT {rights} ON {EVERY} TO {grantee}"
        yield from (f"GRANT SHOW VIEW ON `{guard}`.* TO {grantee}" for guard in GUARDED)
