"""Keeps the superuser of a server that Holdfast runs to itself.

`initdb` makes one role that can never lose its rights (its oid is 10). It is Holdfast's own; the
addon's owner has a role beside it that may make databases and roles, as managed providers have it.
Servers that were made while the owner was that superuser are changed to this, and so is whatever a
restored data directory brings. Each statement may be repeated, so an interrupted change goes on.
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
"""Counts rows: it may read everything and change nothing. To plan a query is enough to run a
function that the owner put into an index, so no superuser ever reads a table of the owner's."""

_DOORMAN = "holdfast_doorman"
"""A superuser for the moment in which the real one gets its name: nobody renames himself."""

POWERS = ("pg_execute_server_program", "pg_read_server_files", "pg_write_server_files")
_GIVEN = ("pg_monitor", "pg_signal_backend")
_SELF_GRANT_SINCE = 16
_PARAMETERS_SINCE = 15


def as_reader(address: Address) -> Address:
    """As whom rows are counted: who works there, or a role that can do less where that is ours."""
    if address.owner is None:
        return address
    login = _reader(address.password)
    return replace(address, user=login.user, password=login.password, owner=None)


def let_reader_in(session: Session, address: Address) -> None:
    """Into databases whose owner lets in his own alone, as one of them."""
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


def lacks_something(session: Session, server: LocalServer) -> bool:
    """Is there no role of the owner's, none of ours, or no application database?"""
    row = session.execute(
        "SELECT (SELECT count(*) FROM pg_roles WHERE rolname = ANY(%s)) < 2"
        " OR NOT EXISTS (SELECT FROM pg_database WHERE datname = %s)",
        [[server.user, READER], server.database],
    ).fetchone()
    return row is None or bool(row[0])


def owner_here(session: Session) -> str:
    """Whom the session's database belongs to."""
    row = session.execute(
        "SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = current_database()"
    ).fetchone()
    assert row is not None
    return str(row[0])


def admit_doorman(session: Session, admin: Login) -> str | None:
    """The role to rename the superuser as; None where it has its name already."""
    if bootstrap(session) == admin.user:
        return None
    doorman = Identifier(_DOORMAN)
    if not _role_exists(session, _DOORMAN):
        session.execute(SQL("CREATE ROLE {}").format(doorman))
    session.execute(SQL("COMMENT ON ROLE {} IS {}").format(doorman, Literal(bootstrap(session))))
    session.execute(SQL("ALTER ROLE {} LOGIN SUPERUSER").format(doorman))
    return _DOORMAN


def heir(session: Session, server: LocalServer) -> str:
    """The role that has what the superuser had, under the name that one had. Made when there is
    none, before the superuser's password is another."""
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
    """When all is handed over: until then its comment says to whom."""
    session.execute(SQL("DROP ROLE IF EXISTS {}").format(Identifier(_DOORMAN)))


def rename_superuser(session: Session, admin: Login) -> None:
    """A role of the owner's that has our name makes way."""
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
    """Roles and what is said about the whole server. `session` is the superuser's, as `admin`."""
    admin, owner = _admin(server), Identifier(server.user)
    major = session.info.server_version // 10_000
    heir(session, server)
    _set_password(session, admin, "LOGIN SUPERUSER")
    existed = _role_exists(session, server.user)
    if not existed:
        session.execute(SQL("CREATE ROLE {}").format(owner))
    rights = "LOGIN INHERIT NOSUPERUSER NOREPLICATION BYPASSRLS CREATEDB CREATEROLE"
    if existed and keep_password:
        session.execute(SQL("ALTER ROLE {} {}").format(owner, _words(rights)))
    else:
        _set_password(session, Login(server.user, server.password), rights)
    _weaken_others(session)
    _hand_on_memberships(session, server, major)
    for statement in _taken(session, major):
        session.execute(statement)
    for role in _GIVEN:
        session.execute(SQL("GRANT {} TO {}").format(Identifier(role), owner))
    if major >= _SELF_GRANT_SINCE:
        session.execute(
            SQL("ALTER ROLE {} SET createrole_self_grant = 'set, inherit'").format(owner)
        )
    else:
        _lock_powers(session)
    _make_reader(session, server)


def _admin(server: LocalServer) -> Login:
    assert server.admin is not None
    return server.admin


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
    """Keywords of our own, never somebody's name."""
    return SQL(text)  # pyright: ignore[reportArgumentType]


def _weaken_others(session: Session) -> None:
    """A superuser may have made others, which the owner could be."""
    rows = session.execute(
        "SELECT rolname::text FROM pg_roles WHERE oid <> 10 AND rolname NOT LIKE 'pg\\_%%'"
        " AND rolname <> %s AND (rolsuper OR rolreplication)",
        [_DOORMAN],
    ).fetchall()
    for (role,) in rows:
        session.execute(SQL("ALTER ROLE {} NOSUPERUSER NOREPLICATION").format(Identifier(role)))


def _hand_on_memberships(session: Session, server: LocalServer, major: int) -> None:
    """Who was a member of the old superuser is one of the owner; who owned all may be all."""
    owner, former = Identifier(server.user), Identifier(heir(session, server))
    members = session.execute(
        "SELECT DISTINCT m.member::regrole::text, r.rolname::text FROM pg_auth_members m"
        " JOIN pg_roles r ON r.oid = m.member WHERE m.roleid = 10"
    ).fetchall()
    for _, name in members:
        member = Identifier(name)
        _revoke(session, _admin(server).user, name, major)
        if name not in (server.user, heir(session, server)):
            session.execute(SQL("GRANT {} TO {}").format(former, member))
    if not _role_exists(session, _DOORMAN):
        return  # the superuser was ours before: the owner is a member of what he chose
    rows = session.execute(
        "SELECT rolname::text FROM pg_roles WHERE oid <> 10 AND rolname NOT LIKE 'pg\\_%%'"
        " AND rolname <> ALL(%s) AND NOT pg_has_role(rolname, %s, 'MEMBER')"
        " AND NOT pg_has_role(%s, oid, 'MEMBER WITH ADMIN OPTION')",
        [[server.user, READER, _DOORMAN], server.user, server.user],
    ).fetchall()
    for (role,) in rows:
        session.execute(SQL("GRANT {} TO {} WITH ADMIN OPTION").format(Identifier(role), owner))


def _revoke(session: Session, role: str, member: str, major: int) -> None:
    """Whoever granted it: since 16 each grant has its own grantor."""
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


def _quoted(role: str) -> str:
    return '"' + role.replace('"', '""') + '"'


def _taken(session: Session, major: int) -> Iterable[Composed]:
    """What reaches the machine and may have been given away: roles, parameters, settings."""
    members = session.execute(
        "SELECT p.rolname::text, r.rolname::text FROM pg_auth_members m"
        " JOIN pg_roles p ON p.oid = m.roleid JOIN pg_roles r ON r.oid = m.member"
        " WHERE p.rolname = ANY(%s) AND r.oid <> 10",
        [list(POWERS)],
    ).fetchall()
    for power, member in members:
        _revoke(session, power, member, major)
    if major >= _PARAMETERS_SINCE:
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
    yield from _settings_taken(session)


def _settings_taken(session: Session) -> Iterable[Composed]:
    """Settings that only a superuser may choose, of roles and databases: libraries to load, ..."""
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
            yield SQL("ALTER {} RESET {}").format(
                _subject(role, database), Identifier(*name.split("."))
            )


def _subject(role: str | None, database: str | None) -> Composed:
    if role is None:
        if database is None:
            return SQL("ROLE ALL").format()
        return SQL("DATABASE {}").format(Identifier(database))
    scope = SQL("") if database is None else SQL(" IN DATABASE {}").format(Identifier(database))
    return SQL("ROLE {}{}").format(Identifier(role), scope)


def reserved_settings(session: Session) -> frozenset[str]:
    """Names of settings that only a superuser may change."""
    rows = session.execute(
        "SELECT lower(name) FROM pg_settings WHERE context IN ('superuser', 'superuser-backend')"
    ).fetchall()
    return frozenset(row[0] for row in rows)


def admin_of(session: Session) -> frozenset[str] | None:
    """Roles that this user, who is no superuser, may give to others; None: all but superusers."""
    if session.info.server_version < _SELF_GRANT_SINCE * 10_000:
        return None
    rows = session.execute(
        "SELECT rolname::text FROM pg_roles WHERE pg_has_role(oid, 'MEMBER WITH ADMIN OPTION')"
    ).fetchall()
    return frozenset(row[0] for row in rows)


def settable_settings(session: Session) -> frozenset[str]:
    """Names of settings that this user, who is no superuser, may give to roles and databases."""
    grants = session.info.server_version >= _PARAMETERS_SINCE * 10_000
    granted = SQL("has_parameter_privilege(name, 'SET')" if grants else "false")
    rows = session.execute(
        SQL("SELECT lower(name) FROM pg_settings WHERE context = 'user' OR {}").format(granted)
    ).fetchall()
    return frozenset(row[0] for row in rows)


def _lock_powers(session: Session) -> None:
    """Before 16 whoever may make roles may grant these, unless they count as superusers."""
    session.execute(
        "UPDATE pg_catalog.pg_authid SET rolsuper = true WHERE rolname = ANY(%s) AND NOT rolsuper",
        [list(POWERS)],
    )


def _make_reader(session: Session, server: LocalServer) -> None:
    """A member of the owner's role, so that it may enter every database the owner may."""
    login = _reader(_admin(server).password)
    if not _role_exists(session, login.user):
        session.execute(SQL("CREATE ROLE {}").format(Identifier(login.user)))
    _set_password(session, login, "LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE BYPASSRLS")
    for role in ("pg_read_all_data", server.user):
        session.execute(SQL("GRANT {} TO {}").format(Identifier(role), Identifier(login.user)))


def hand_over_databases(session: Session, server: LocalServer) -> None:
    """Those that belong to the superuser, but for the server's own."""
    owner, former = Identifier(server.user), Identifier(heir(session, server))
    rows = session.execute(
        "SELECT datname::text FROM pg_database WHERE datdba = 10"
        " AND datname NOT IN ('postgres', 'template0', 'template1') AND datconnlimit <> -2"
    ).fetchall()
    for database in (row[0] for row in rows if not is_ours(row[0])):
        session.execute(SQL("ALTER DATABASE {} OWNER TO {}").format(Identifier(database), former))
    if session.execute("SELECT FROM pg_database WHERE datname = 'postgres'").rowcount:
        session.execute(SQL("GRANT CREATE ON DATABASE postgres TO {}").format(owner))


def own_database(session: Session, server: LocalServer) -> None:
    """The application's, made when there is none."""
    row = session.execute(
        "SELECT FROM pg_database WHERE datname = %s", [server.database]
    ).fetchone()
    if row is None:
        statement = SQL("CREATE DATABASE {} TEMPLATE template0 OWNER {}")
        session.execute(statement.format(Identifier(server.database), Identifier(server.user)))


def databases(session: Session) -> Sequence[str]:
    """All that can be entered, but for what restores keep beside."""
    rows = session.execute(
        "SELECT datname::text FROM pg_database WHERE datallowconn AND datconnlimit <> -2 ORDER BY 1"
    ).fetchall()
    return [str(row[0]) for row in rows]


def tried(session: Session, statement: Composed | bytes) -> bool:
    """Did the server take it? Each statement is by itself."""
    try:
        session.execute(statement)
    except psycopg.errors.Error:
        if session.broken:
            raise
        return False
    return True
