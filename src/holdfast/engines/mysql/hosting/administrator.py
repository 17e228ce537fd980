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


def adoption(place: LocalServer, how: str, admins: str) -> list[str]:
    """Statements, each in a line, that make a server ours. Repeatable. `how` and `admins` say how
    the owner and the administrator get in."""
    admin, owner = account(ADMIN), account(place.user)
    return [
        f"CREATE USER IF NOT EXISTS {admin} {admins};",
        f"ALTER USER {admin} {admins};",
        f"GRANT ALL PRIVILEGES ON *.* TO {admin} WITH GRANT OPTION;",
        f"CREATE USER IF NOT EXISTS {owner} {how};",
        f"ALTER USER {owner} {how};",
        f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {owner};",
        f"GRANT {', '.join(GLOBAL)} ON *.* TO {owner};",
        *guarded(owner),
        f"GRANT ALL PRIVILEGES ON {pattern(place.database)}.* TO {owner}{_passed_on(place)};",
        *procedures(),
    ]


def _passed_on(place: LocalServer) -> str:
    """A name that could be read as a pattern would let its owner grant on what the pattern fits."""
    return "" if set(place.database) & set("_%\\") else " WITH GRANT OPTION"


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
    who = "QUOTE(login), '@''%'''"
    where = "'`', REPLACE(REPLACE(REPLACE(place, '`', '``'), '_', '\\\\_'), '%', '\\\\%'), '`.*'"
    return [
        *_procedure(
            "holdfast_create_user",
            "IN login VARCHAR(80), IN secret TEXT",
            user,
            f"'CREATE USER ', {who}, ' IDENTIFIED BY ', QUOTE(secret)",
        ),
        *_procedure("holdfast_drop_user", "IN login VARCHAR(80)", user, f"'DROP USER ', {who}"),
        *_procedure(
            "holdfast_grant",
            "IN place VARCHAR(64), IN login VARCHAR(80)",
            f"{user} {database}",
            f"'GRANT ALL PRIVILEGES ON ', {where}, ' TO ', {who}",
        ),
        *_procedure(
            "holdfast_revoke",
            "IN place VARCHAR(64), IN login VARCHAR(80)",
            f"{user} {database}",
            f"'REVOKE ALL PRIVILEGES ON ', {where}, ' FROM ', {who}",
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
    held = {each for line in lines for each in _global(line)}
    if held <= {"USAGE"}:
        return
    every = "ALL PRIVILEGES" in held
    data = _DATA if every else held & _DATA
    few = GLOBAL if every else tuple(each for each in GLOBAL if each in held)
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
    found = _ON_ALL.match(line)
    return set() if found is None else {each.strip() for each in found[1].split(",")}


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
    found = _GRANT.fullmatch(statement)
    if found is None:
        yield statement
        return
    what, where, rest = found["what"], found["where"], found["rest"]
    database = where.partition(".")[0].strip("`").replace("\\", "")
    if where != "*.*":
        if database.lower() not in ("mysql", "sys") and not set(database) & set("%_"):
            yield statement
        elif database.lower() not in ("mysql", "sys"):
            plain = rest.replace(" WITH GRANT OPTION", "")
            yield f"GRANT {what} ON {where} TO {plain}"
            grantee = plain.partition(" ")[0]
            yield from (f"GRANT SHOW VIEW ON `{guard}`.* TO {grantee}" for guard in GUARDED)
        return
    yield from _everywhere(what, rest.replace(" WITH GRANT OPTION", ""))


def _everywhere(what: str, rest: str) -> Iterator[str]:
    """Of rights on the whole server. `rest` begins with the account and says how it gets in."""
    held = {each.strip() for each in what.split(",")}
    every = "ALL PRIVILEGES" in held
    few = GLOBAL if every else tuple(each for each in GLOBAL if each in held)
    yield f"GRANT {', '.join(few) or 'USAGE'} ON *.* TO {rest}"
    data = _DATA if every else held & _DATA
    if data:
        grantee = rest.partition(" IDENTIFIED ")[0].partition(" REQUIRE ")[0].partition(" WITH ")[0]
        rights = "ALL PRIVILEGES" if every else ", ".join(sorted(data))
        yield f"GRANT {rights} ON {EVERY} TO {grantee}"
        yield from (f"GRANT SHOW VIEW ON `{guard}`.* TO {grantee}" for guard in GUARDED)
