"""Keeps the superuser of a server that Holdfast runs to Holdfast itself.

`initdb` makes one role that can never lose its rights (its oid is 10). It is Holdfast's own; the
addon's owner has a role beside it that may make databases and roles, as managed providers do it.
Servers made while the owner was that superuser are converted, and so is every restored data
directory. Each statement may be repeated, so an interrupted conversion goes on.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from holdfast.contracts.engine import Address
from holdfast.contracts.local_servers import LocalServer, Login
from holdfast.engines.postgresql.client.address import Session
from holdfast.engines.postgresql.client.object_names import is_ours
from holdfast.kit.seal import Secret

READER = "holdfast_reader"
"""The role that counts rows: it may read everything and change nothing. Planning a query can run a
function that the owner put into an index, so no superuser ever reads a table of the owner's."""

_DOORMAN = "holdfast_doorman"
"""A temporary superuser that renames the real one: no role can rename itself."""

MACHINE_ROLES = ("pg_execute_server_program", "pg_read_server_files", "pg_write_server_files")
_OWNER_ROLES = ("pg_monitor", "pg_signal_backend")
_SELF_GRANT_SINCE = 16
_PARAMETER_GRANTS_SINCE = 15


def as_reader(address: Address) -> Address:
    """The address to count rows with: as the reader on our servers, else as the user it has."""
    if address.owner is None:
        return address
    login = _reader(address.password)
    return replace(address, user=login.user, password=login.password, owner=None)


def grant_reader_access(session: Session, address: Address) -> None:
    """Makes the reader a member of the owners whose databases let in only their own roles."""
    if address.owner is None:
        return
    rows = session.execute(
        "SELECT DISTINCT pg_get_userbyid(datdba)::text FROM pg_database"
        " WHERE datallowconn AND datdba <> 10"
        " AND NOT has_database_privilege(%s, oid, 'CONNECT')",
        [READER],
    ).fetchall()
    for (owner,) in rows:
        session.execute(SQL("GRANT {} TO {}").format(Identifier(owner), Identifier(READER)))


def _reader(password: Secret) -> Login:
    text = f"{READER} {password.reveal()}".encode()
    return Login(READER, Secret(hashlib.sha256(text).hexdigest()))


def is_incomplete(session: Session, server: LocalServer) -> bool:
    """Does the server lack the owner's role, our reader, or the application's database?"""
    row = session.execute(
        "SELECT (SELECT count(*) FROM pg_roles WHERE rolname = ANY(%s)) < 2"
        " OR NOT EXISTS (SELECT FROM pg_database WHERE datname = %s)",
        [[server.user, READER], server.database],
    ).fetchone()
    return row is None or bool(row[0])


def database_owner(session: Session) -> str:
    """The owner of the session's database."""
    row = session.execute(
        "SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = current_database()"
    ).fetchone()
    assert row is not None
    return str(row[0])


def admit_doorman(session: Session, admin: Login) -> str | None:
    """Makes the role that renames the superuser; None where the superuser has its name already."""
    if bootstrap(session) == admin.user:
        return None
    doorman = Identifier(_DOORMAN)
    if not _role_exists(session, _DOORMAN):
        session.execute(SQL("CREATE ROLE {}").format(doorman))
    session.execute(SQL("COMMENT ON ROLE {} IS {}").format(doorman, Literal(bootstrap(session))))
    session.execute(SQL("ALTER ROLE {} LOGIN SUPERUSER").format(doorman))
    return _DOORMAN


def successor(session: Session, server: LocalServer) -> str:
    """The role that takes over from the former superuser, under the former superuser's name.

    Made when missing, before the superuser gets another password.
    """
    row = session.execute(
        "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s", [_DOORMAN]
    ).fetchone()
    name = server.user if row is None or not row[0] else str(row[0])
    if not _role_exists(session, name) and name != server.user:
        session.execute(
            SQL("CREATE ROLE {} LOGIN CREATEDB CREATEROLE BYPASSRLS").format(Identifier(name))
        )
        session.execute(
            "UPDATE pg_catalog.pg_authid SET rolpassword ="
            " (SELECT rolpassword FROM pg_catalog.pg_authid WHERE oid = 10) WHERE rolname = %s",
            [name],
        )
    return name


def dismiss_doorman(session: Session) -> None:
    """Drops the doorman, last of all: until then its comment holds the name of the successor."""
    session.execute(SQL("DROP ROLE IF EXISTS {}").format(Identifier(_DOORMAN)))


def rename_superuser(session: Session, admin: Login) -> None:
    """Gives the superuser our name; a role of the owner's with that name is renamed."""
    if _role_exists(session, admin.user):
        session.execute(
            SQL("ALTER ROLE {} RENAME TO {}").format(
                Identifier(admin.user), Identifier(f"{admin.user}_before")
            )
        )
    session.execute(
        SQL("ALTER ROLE {} RENAME TO {}").format(
            Identifier(bootstrap(session)), Identifier(admin.user)
        )
    )


def bootstrap(session: Session) -> str:
    row = session.execute("SELECT rolname::text FROM pg_roles WHERE oid = 10").fetchone()
    assert row is not None
    return str(row[0])


def confine_server(session: Session, server: LocalServer, *, keep_password: bool = False) -> None:
    """Sets the roles, grants and settings of a whole server. `session` is the superuser's.

    `keep_password`: an owner's role that exists keeps its password.
    """
    assert server.admin is not None
    owner = Identifier(server.user)
    major = session.info.server_version // 10_000
    successor(session, server)
    _set_password(session, server.admin, "LOGIN SUPERUSER")
    existed = _role_exists(session, server.user)
    if not existed:
        session.execute(SQL("CREATE ROLE {}").format(owner))
    rights = "LOGIN INHERIT NOSUPERUSER NOREPLICATION BYPASSRLS CREATEDB CREATEROLE"
    if existed and keep_password:
        session.execute(SQL("ALTER ROLE {} {}").format(owner, _words(rights)))
    else:
        _set_password(session, Login(server.user, server.password), rights)
    _weaken_others(session)
    _hand_on_memberships(session, server, server.admin, major)
    for statement in (*_revocations(session, major), *_setting_resets(session)):
        session.execute(statement)
    for role in _OWNER_ROLES:
        session.execute(SQL("GRANT {} TO {}").format(Identifier(role), owner))
    if major >= _SELF_GRANT_SINCE:
        session.execute(
            SQL("ALTER ROLE {} SET createrole_self_grant = 'set, inherit'").format(owner)
        )
    else:  # before 16 any role with CREATEROLE may grant these, unless they count as superusers
        session.execute(
            "UPDATE pg_catalog.pg_authid SET rolsuper = true"
            " WHERE rolname = ANY(%s) AND NOT rolsuper",
            [list(MACHINE_ROLES)],
        )
    _make_reader(session, server, server.admin)


def _role_exists(session: Session, name: str) -> bool:
    row = session.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).fetchone()
    return row is not None


def _set_password(session: Session, login: Login, rights: str) -> None:
    """The password crosses as a verifier only, so no log can hold it."""
    secret, user = login.password.reveal().encode(), login.user.encode()
    verifier = session.pgconn.encrypt_password(secret, user, b"scram-sha-256").decode()
    session.execute(
        SQL("ALTER ROLE {} {} PASSWORD {}").format(
            Identifier(login.user), _words(rights), Literal(verifier)
        )
    )


def _words(text: str) -> SQL:
    """SQL keywords from our own constants, never a name."""
    return SQL(text)  # pyright: ignore[reportArgumentType]


def _weaken_others(session: Session) -> None:
    """A superuser may have made other superusers, which the owner could become."""
    rows = session.execute(
        "SELECT rolname::text FROM pg_roles WHERE oid <> 10 AND rolname NOT LIKE 'pg\\_%%'"
        " AND rolname <> %s AND (rolsuper OR rolreplication)",
        [_DOORMAN],
    ).fetchall()
    for (role,) in rows:
        session.execute(SQL("ALTER ROLE {} NOSUPERUSER NOREPLICATION").format(Identifier(role)))


def _hand_on_memberships(session: Session, server: LocalServer, admin: Login, major: int) -> None:
    """Makes members of the old superuser members of its successor.

    The owner of a server whose superuser it was may grant every role there.
    """
    owner, former = Identifier(server.user), Identifier(successor(session, server))
    members = session.execute(
        "SELECT DISTINCT m.member::regrole::text, r.rolname::text FROM pg_auth_members m"
        " JOIN pg_roles r ON r.oid = m.member WHERE m.roleid = 10"
    ).fetchall()
    for _, name in members:
        member = Identifier(name)
        _revoke(session, admin.user, name, major)
        if name not in (server.user, successor(session, server)):
            session.execute(SQL("GRANT {} TO {}").format(former, member))
    if not _role_exists(session, _DOORMAN):
        return  # the superuser was ours before: the owner has chosen his memberships
    rows = session.execute(
        "SELECT rolname::text FROM pg_roles WHERE oid <> 10 AND rolname NOT LIKE 'pg\\_%%'"
        " AND rolname <> ALL(%s) AND NOT pg_has_role(rolname, %s, 'MEMBER')"
        " AND NOT pg_has_role(%s, oid, 'MEMBER WITH ADMIN OPTION')",
        [[server.user, READER, _DOORMAN], server.user, server.user],
    ).fetchall()
    for (role,) in rows:
        session.execute(SQL("GRANT {} TO {} WITH ADMIN OPTION").format(Identifier(role), owner))


def _revoke(session: Session, role: str, member: str, major: int) -> None:
    """Revokes a membership from all its grantors: since 16 each grant has its own."""
    statement = SQL("REVOKE {} FROM {}").format(Identifier(role), Identifier(member))
    if major < _SELF_GRANT_SINCE:
        session.execute(statement)
        return
    grantors = session.execute(
        "SELECT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.grantor"
        " WHERE m.roleid = %s::regrole AND m.member = %s::regrole",
        [_quoted(role), _quoted(member)],
    ).fetchall()
    for (grantor,) in grantors:
        session.execute(SQL("{} GRANTED BY {} CASCADE").format(statement, Identifier(grantor)))


def _make_reader(session: Session, server: LocalServer, admin: Login) -> None:
    """Makes the reader a member of the owner's role, to enter every database the owner may."""
    login = _reader(admin.password)
    if not _role_exists(session, login.user):
        session.execute(SQL("CREATE ROLE {}").format(Identifier(login.user)))
    _set_password(session, login, "LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE BYPASSRLS")
    for role in ("pg_read_all_data", server.user):
        session.execute(SQL("GRANT {} TO {}").format(Identifier(role), Identifier(login.user)))


def _quoted(role: str) -> str:
    return '"' + role.replace('"', '""') + '"'


def _revocations(session: Session, major: int) -> Iterable[Composed]:
    """Revokes memberships that reach the machine; yields revocations of rights on parameters."""
    members = session.execute(
        "SELECT p.rolname::text, r.rolname::text FROM pg_auth_members m"
        " JOIN pg_roles p ON p.oid = m.roleid JOIN pg_roles r ON r.oid = m.member"
        " WHERE p.rolname = ANY(%s) AND r.oid <> 10",
        [list(MACHINE_ROLES)],
    ).fetchall()
    for power, member in members:
        _revoke(session, power, member, major)
    if major >= _PARAMETER_GRANTS_SINCE:
        grants = session.execute(
            "SELECT DISTINCT parname, CASE WHEN a.grantee = 0 THEN NULL"
            " ELSE pg_get_userbyid(a.grantee)::text END"
            " FROM pg_parameter_acl, aclexplode(paracl) a WHERE a.grantee <> 10"
        ).fetchall()
        for parameter, grantee in grants:
            yield SQL("REVOKE ALL ON PARAMETER {} FROM {} CASCADE").format(
                Identifier(*str(parameter).split(".")),
                SQL("PUBLIC") if grantee is None else Identifier(grantee),
            )


def _setting_resets(session: Session) -> Iterable[Composed]:
    """Resets settings of roles and databases that only a superuser may set, such as libraries."""
    reserved = reserved_settings(session)
    rows = session.execute(
        "SELECT r.rolname::text, d.datname::text, s.setconfig FROM pg_db_role_setting s"
        " LEFT JOIN pg_roles r ON r.oid = s.setrole"
        " LEFT JOIN pg_database d ON d.oid = s.setdatabase WHERE s.setrole <> 10"
    ).fetchall()
    for role, database, settings in rows:
        for name in (str(setting).partition("=")[0] for setting in settings):
            if name.lower() not in reserved:
                continue
            subject = SQL("ROLE ALL") if role is None else SQL("ROLE {}").format(Identifier(role))
            if database is not None:
                named = SQL("DATABASE {}").format(Identifier(database))
                subject = named if role is None else SQL("{} IN {}").format(subject, named)
            yield SQL("ALTER {} RESET {}").format(subject, Identifier(*name.split(".")))


def reserved_settings(session: Session) -> frozenset[str]:
    """Names of settings that only a superuser may change."""
    rows = session.execute(
        "SELECT lower(name) FROM pg_settings WHERE context IN ('superuser', 'superuser-backend')"
    ).fetchall()
    return frozenset(row[0] for row in rows)


def admin_of(session: Session) -> frozenset[str] | None:
    """Roles that this user, who is no superuser, may grant; None: all but superusers."""
    if session.info.server_version < _SELF_GRANT_SINCE * 10_000:
        return None
    rows = session.execute(
        "SELECT rolname::text FROM pg_roles WHERE pg_has_role(oid, 'MEMBER WITH ADMIN OPTION')"
    ).fetchall()
    return frozenset(row[0] for row in rows)


def settable_settings(session: Session) -> frozenset[str]:
    """Names of settings that this user, who is no superuser, may set for roles and databases."""
    grants = session.info.server_version >= _PARAMETER_GRANTS_SINCE * 10_000
    granted = SQL("has_parameter_privilege(name, 'SET')" if grants else "false")
    rows = session.execute(
        SQL("SELECT lower(name) FROM pg_settings WHERE context = 'user' OR {}").format(granted)
    ).fetchall()
    return frozenset(row[0] for row in rows)


def hand_over_databases(session: Session, server: LocalServer) -> None:
    """Gives the superuser's databases to its successor, except the server's own."""
    owner, former = Identifier(server.user), Identifier(successor(session, server))
    rows = session.execute(
        "SELECT datname::text FROM pg_database WHERE datdba = 10"
        " AND datname NOT IN ('postgres', 'template0', 'template1') AND datconnlimit <> -2"
    ).fetchall()
    for database in (row[0] for row in rows if not is_ours(row[0])):
        session.execute(SQL("ALTER DATABASE {} OWNER TO {}").format(Identifier(database), former))
    if session.execute("SELECT FROM pg_database WHERE datname = 'postgres'").rowcount:
        session.execute(SQL("GRANT CREATE ON DATABASE postgres TO {}").format(owner))


def make_owner_database(session: Session, server: LocalServer) -> None:
    """Makes the application's database when it is missing."""
    row = session.execute(
        "SELECT FROM pg_database WHERE datname = %s", [server.database]
    ).fetchone()
    if row is None:
        statement = SQL("CREATE DATABASE {} TEMPLATE template0 OWNER {}")
        session.execute(statement.format(Identifier(server.database), Identifier(server.user)))


def databases(session: Session) -> Sequence[str]:
    """All databases that allow connections."""
    rows = session.execute(
        "SELECT datname::text FROM pg_database WHERE datallowconn AND datconnlimit <> -2 ORDER BY 1"
    ).fetchall()
    return [str(row[0]) for row in rows]


def try_statement(session: Session, statement: Composed | bytes) -> bool:
    """Executes one statement; False when the server refuses it."""
    try:
        session.execute(statement)
    except psycopg.errors.Error:
        if session.broken:
            raise
        return False
    return True
