"""Facts that a server reports about itself, as JSON values: version, roles, databases, extensions.

Recorded with each dump, because a restore must create each database as it was, and because none of
it is inside a single-database archive.
"""

from typing import Any

from holdfast.engines.postgresql.client.address import Session
from holdfast.engines.postgresql.client.name_bytes import is_text
from holdfast.engines.postgresql.client.object_names import is_ours

Facts = dict[str, Any]

_SERVER = """
SELECT current_setting('server_version_num')::int / 10000,
       split_part(current_setting('server_version'), ' ', 1),
       version(),
       (SELECT rolname FROM pg_roles WHERE oid = 10),
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
       pg_is_in_recovery(),
       (SELECT setting FROM pg_settings WHERE name = 'data_directory'),
       current_user::text,
       pg_backend_pid()
"""

# to_jsonb, because the locale columns of pg_database differ in every other major.
_DATABASES = """
SELECT d.datname::text, to_jsonb(d) - 'datacl', pg_get_userbyid(d.datdba)::text,
       pg_encoding_to_char(d.encoding), t.spcname::text,
       CASE WHEN has_database_privilege(d.oid, 'CONNECT') THEN pg_database_size(d.oid) END,
       shobj_description(d.oid, 'pg_database'),
       d.datacl IS NOT NULL,
       (SELECT coalesce(jsonb_agg(jsonb_build_object(
                 'grantor', pg_get_userbyid(a.grantor)::text,
                 'grantee', CASE WHEN a.grantee = 0 THEN NULL
                                 ELSE pg_get_userbyid(a.grantee)::text END,
                 'privilege', a.privilege_type, 'grantable', a.is_grantable)), '[]')
          FROM aclexplode(d.datacl) a),
       (SELECT coalesce(jsonb_agg(jsonb_build_object(
                 'role', r.rolname::text, 'settings', s.setconfig)
                 ORDER BY r.rolname NULLS FIRST), '[]')
          FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole
         WHERE s.setdatabase = d.oid),
       (SELECT coalesce(jsonb_agg(DISTINCT pg_get_userbyid(o.refobjid)::text), '[]')
          FROM pg_shdepend o WHERE o.dbid = d.oid AND o.deptype = 'o'
           AND o.refclassid = 'pg_authid'::regclass)
  FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace
 WHERE d.datallowconn AND d.datname NOT IN ('template0', 'template1') AND d.datconnlimit <> -2
 ORDER BY d.datname
"""

_ROLES = """
SELECT r.rolname::text, r.rolsuper, r.rolcanlogin, r.rolcreatedb, r.rolcreaterole,
       r.rolreplication, r.rolbypassrls
  FROM pg_roles r WHERE r.rolname NOT LIKE 'pg\\_%' ORDER BY 1
"""
_ROLE_FIELDS = ("name", "super", "login", "createdb", "createrole", "replication", "bypassrls")

_EXTENSIONS = """
SELECT e.extname::text, e.extversion, n.nspname::text
  FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace ORDER BY 1
"""

_HAS_USER_OBJECTS = """
SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%')
    OR EXISTS (SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
                WHERE n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%')
    OR EXISTS (SELECT FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
                WHERE n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%')
    OR EXISTS (SELECT FROM pg_namespace n
                WHERE n.nspname NOT IN ('information_schema', 'public')
                  AND n.nspname NOT LIKE 'pg\\_%')
    OR EXISTS (SELECT FROM pg_extension WHERE extname <> 'plpgsql')
    OR EXISTS (SELECT FROM pg_largeobject_metadata)
    OR EXISTS (SELECT FROM pg_foreign_data_wrapper) OR EXISTS (SELECT FROM pg_publication)
    OR EXISTS (SELECT FROM pg_event_trigger) OR EXISTS (SELECT FROM pg_default_acl)
    OR EXISTS (SELECT FROM pg_cast WHERE oid >= 16384)
    OR EXISTS (SELECT FROM pg_language WHERE oid >= 16384)
    OR EXISTS (SELECT FROM pg_am WHERE oid >= 16384)
    OR EXISTS (SELECT FROM pg_transform WHERE oid >= 16384)
    OR EXISTS (SELECT FROM pg_collation WHERE oid >= 16384 AND collnamespace >= 16384)
    OR EXISTS (SELECT FROM pg_operator WHERE oid >= 16384)
    OR EXISTS (SELECT FROM pg_ts_config WHERE oid >= 16384)
    OR EXISTS (SELECT FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
                WHERE d.datname = current_database())
"""

_PUBLIC_SCHEMA = """
SELECT pg_get_userbyid(nspowner)::text,
       nspacl IS DISTINCT FROM (SELECT initprivs FROM pg_init_privs i
                                 WHERE i.classoid = 'pg_namespace'::regclass AND i.objoid = n.oid)
  FROM pg_namespace n WHERE nspname = 'public'
"""

_SEARCH_PATHS = """
SELECT (SELECT substr(setting, 13) FROM unnest(s.setconfig) setting
         WHERE setting LIKE 'search\\_path=%')
  FROM pg_db_role_setting s JOIN pg_database d ON d.datname = current_database()
 WHERE (s.setdatabase = d.oid AND s.setrole IN (0, d.datdba))
    OR (s.setdatabase = 0 AND s.setrole IN (0, d.datdba))
 ORDER BY s.setdatabase = 0, s.setrole = 0
"""
"""Search paths of the owner's sessions, the most specific setting first."""

_ROLE_ALL_SETTINGS = (
    "SELECT setconfig FROM pg_db_role_setting WHERE setdatabase = 0 AND setrole = 0"
)
_DEFAULT_SEARCH_PATH = '"$user", public'
_FRESH_COMMENTS = (None, "default administrative connection database")

_TABLESPACES = """
SELECT spcname::text FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global')
 ORDER BY 1
"""


def server(session: Session) -> Facts:
    """The server's version, flavour and state, and the user we connect as."""
    row = session.execute(_SERVER).fetchone()
    assert row is not None
    fields = ("major", "version", "banner", "bootstrap", "super", "standby", "directory")
    return {**dict(zip((*fields, "user", "pid"), row, strict=True)), "flavour": flavour(row[2])}


def flavour(banner: str) -> str:
    """`PostgreSQL`, or the name of another product that speaks its protocol."""
    for name in ("CockroachDB", "YugabyteDB", "-YB-", "Redshift", "EnterpriseDB", "Greenplum"):
        if name in banner:
            return "YugabyteDB" if name == "-YB-" else name
    return banner.split(" ", 1)[0]


def roles(session: Session) -> list[Facts]:
    rows = session.execute(_ROLES).fetchall()
    return [dict(zip(_ROLE_FIELDS, row, strict=True)) for row in rows]


def tablespaces(session: Session) -> list[str]:
    return [row[0] for row in session.execute(_TABLESPACES).fetchall()]


def databases(session: Session) -> list[Facts]:
    """User databases that allow connections, and `postgres`; not the databases Holdfast made."""
    rows = session.execute(_DATABASES).fetchall()
    return [
        {
            "name": name,
            "owner": owner,
            "encoding": encoding,
            "tablespace": tablespace,
            "size": size or 0,
            "comment": comment,
            "acl": acl if has_acl else None,
            "settings": settings,
            "owners": sorted(owners),
            "provider": raw.get("datlocprovider", "c"),
            "collate": raw["datcollate"],
            "ctype": raw["datctype"],
            "locale": raw.get("datlocale") or raw.get("daticulocale"),
            "icuRules": raw.get("daticurules"),
            "connectionLimit": raw["datconnlimit"],
            "template": raw["datistemplate"],
        }
        for (
            name,
            raw,
            owner,
            encoding,
            tablespace,
            size,
            comment,
            has_acl,
            acl,
            settings,
            owners,
        ) in rows
        if not is_ours(name) and is_text(name)
    ]


def role_all_settings(session: Session) -> list[str]:
    """Settings of ALTER ROLE ALL, which no program dumps."""
    row = session.execute(_ROLE_ALL_SETTINGS).fetchone()
    return [] if row is None else list(row[0])


def inside_database(session: Session) -> Facts:
    """Facts of a database that only a session in it can read and no archive holds."""
    public = session.execute(_PUBLIC_SCHEMA).fetchone()
    paths = [row[0] for row in session.execute(_SEARCH_PATHS).fetchall() if row[0] is not None]
    money = session.execute("SHOW lc_monetary").fetchone()
    return {
        "extensions": extensions(session),
        "public": public is not None,
        "searchPath": paths[0] if paths else _DEFAULT_SEARCH_PATH,
        "money": "C" if money is None else money[0],
    }


def is_fresh(session: Session, database: Facts, bootstrap: str) -> bool:
    """Is `postgres` as initdb made it, without objects, grants, settings or comment of its own?"""
    public = session.execute(_PUBLIC_SCHEMA).fetchone()
    return (
        not has_user_objects(session)
        and public is not None
        and not public[1]
        and database["acl"] is None
        and not database["settings"]
        and database["owner"] == bootstrap
        and database["comment"] in _FRESH_COMMENTS
        and database["connectionLimit"] == -1
    )


def without_users(database: Facts) -> Facts:
    """For a dump without users: no owner, no grants, and no settings of single roles."""
    for_all_roles = [entry for entry in database["settings"] if entry["role"] is None]
    return {**database, "owner": None, "acl": None, "owners": [], "settings": for_all_roles}


def extensions(session: Session) -> list[Facts]:
    rows = session.execute(_EXTENSIONS).fetchall()
    return [{"name": row[0], "version": row[1], "schema": row[2]} for row in rows]


def has_user_objects(session: Session) -> bool:
    row = session.execute(_HAS_USER_OBJECTS).fetchone()
    return row is not None and bool(row[0])
