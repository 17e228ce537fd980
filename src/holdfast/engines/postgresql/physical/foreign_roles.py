"""Disarms the roles that a foreign snapshot brought.

A physical copy holds the whole server, its roles included. Its maker knows their passwords, and
what a superuser of it owns runs with a superuser's rights: functions in indexes at the next
autovacuum. The roles stay, because objects belong to them; their rights do not.
"""

from psycopg.sql import SQL, Identifier

from holdfast.engines.postgresql.client.address import Session

_BOOTSTRAP_OID = 10
_ORDINARY = (
    "SELECT oid, rolname::text FROM pg_roles WHERE rolname NOT LIKE 'pg\\_%%' AND rolname <> %s"
)
_PREDEFINED_GRANTS = (
    "SELECT r.rolname::text, m.rolname::text, g.rolname::text FROM pg_auth_members a"
    " JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member"
    " JOIN pg_roles g ON g.oid = a.grantor WHERE r.rolname LIKE 'pg\\_%%' AND m.rolname <> %s"
)
_POWERLESS = SQL(
    "ALTER ROLE {} NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
    " PASSWORD NULL"
)


def disarm(session: Session, keep: str) -> int:
    """Leaves only `keep` able to log in or to act on the server. Returns how many roles changed.

    The bootstrap superuser cannot lose its rights; it loses its password.
    """
    roles = session.execute(_ORDINARY, [keep]).fetchall()
    for power, member, grantor in session.execute(_PREDEFINED_GRANTS, [keep]).fetchall():
        session.execute(
            SQL("REVOKE {} FROM {} GRANTED BY {} CASCADE").format(
                Identifier(power), Identifier(member), Identifier(grantor)
            )
        )
    for oid, role in roles:
        if oid == _BOOTSTRAP_OID:
            session.execute(SQL("ALTER ROLE {} PASSWORD NULL").format(Identifier(role)))
        else:
            session.execute(_POWERLESS.format(Identifier(role)))
    return len(roles)
