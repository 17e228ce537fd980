"""Everything of a server that a restore must bring back, boiled down to comparable values.

Rows are hashed by the server and summed, so neither their order nor their number costs us
memory. Two servers are equal when their fingerprints are; where they are not, `differences`
names the entries.
"""

from collections.abc import Callable, Mapping
from typing import Any

from psycopg.sql import SQL, Identifier

from holdfast.contracts.engine import Address
from holdfast.engines.postgresql import facts
from holdfast.engines.postgresql.address import Session, connect
from holdfast.engines.postgresql.complaints import translated
from holdfast.engines.postgresql.inventory import USER_SCHEMA

Fingerprint = dict[str, Any]

_TABLES = """
SELECT n.nspname::text, c.relname::text
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm') AND {user_schema} ORDER BY 1, 2
"""
_ROWS = """
SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text FROM ONLY {} t
"""
_SEQUENCES = """
SELECT n.nspname::text, c.relname::text
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'S' AND {user_schema} ORDER BY 1, 2
"""

# One value per object: its definition as the server itself prints it.
_DEFINITIONS: Mapping[str, str] = {
    "views": """
SELECT n.nspname || '.' || c.relname, pg_get_viewdef(c.oid)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('v', 'm') AND {user_schema}""",
    "functions": """
SELECT p.oid::regprocedure::text, pg_get_functiondef(p.oid)
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE {user_schema} AND p.prokind IN ('f', 'p', 'w')
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass
                      AND d.objid = p.oid AND d.deptype IN ('e', 'i'))""",
    "triggers": """
SELECT t.tgrelid::regclass || ' ' || t.tgname, pg_get_triggerdef(t.oid)
  FROM pg_trigger t WHERE NOT t.tgisinternal""",
    "indexes": """
SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid)
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {user_schema}""",
    "constraints": """
SELECT k.conrelid::regclass || ' ' || k.conname, pg_get_constraintdef(k.oid)
  FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
 WHERE {user_schema} AND k.contype <> 'n' AND k.conrelid <> 0""",
    "columns": """
SELECT a.attrelid::regclass || '.' || a.attname,
       concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
                 a.attgenerated, pg_get_expr(e.adbin, e.adrelid),
                 col_description(a.attrelid, a.attnum))
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
 WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
   AND {user_schema}""",
    "policies": """
SELECT p.polrelid::regclass || ' ' || p.polname,
       concat_ws(' ', p.polcmd, pg_get_expr(p.polqual, p.polrelid),
                 pg_get_expr(p.polwithcheck, p.polrelid))
  FROM pg_policy p""",
    "owners": """
SELECT c.oid::regclass::text, pg_get_userbyid(c.relowner)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind <> 'c' AND {user_schema}""",
    "grants": """
SELECT g.what, string_agg(concat_ws(' ', CASE WHEN g.grantee = 0 THEN 'PUBLIC'
                                         ELSE pg_get_userbyid(g.grantee) END,
                                    g.privilege_type, g.is_grantable), ', '
                          ORDER BY CASE WHEN g.grantee = 0 THEN 'PUBLIC'
                                        ELSE pg_get_userbyid(g.grantee) END COLLATE "C",
                                   g.privilege_type, g.is_grantable)
  FROM (SELECT c.oid::regclass::text AS what, a.*
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
               aclexplode(c.relacl) a WHERE {user_schema}
        UNION ALL
        SELECT 'schema ' || n.nspname, a.*
          FROM pg_namespace n, aclexplode(n.nspacl) a WHERE {user_schema}
        UNION ALL
        SELECT 'function ' || p.oid::regprocedure, a.*
          FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace,
               aclexplode(p.proacl) a WHERE {user_schema}) g
 WHERE g.privilege_type <> 'MAINTAIN' AND pg_get_userbyid(g.grantee) <> current_user
 GROUP BY 1""",
    "extensions": "SELECT extname::text, extnamespace::regnamespace::text FROM pg_extension",
    "large objects": """
SELECT l.oid::text, md5(lo_get(l.oid)) || ' ' || pg_get_userbyid(l.lomowner)
  FROM pg_largeobject_metadata l""",
}

_ROLES = """
SELECT r.rolname::text, concat_ws(' ', r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb,
         r.rolcanlogin, r.rolreplication, r.rolbypassrls, r.rolconnlimit, r.rolvaliduntil,
         md5(s.rolpassword), array_to_string(r.rolconfig, ';'),
         shobj_description(r.oid, 'pg_authid'))
  FROM pg_roles r JOIN pg_authid s ON s.oid = r.oid
 WHERE r.rolname NOT LIKE 'pg\\_%' AND r.rolname <> current_user ORDER BY 1
"""
_MEMBERSHIPS = """
SELECT pg_get_userbyid(m.roleid) || ' to ' || pg_get_userbyid(m.member), bool_or(m.admin_option)
  FROM pg_auth_members m GROUP BY 1 ORDER BY 1
"""


def fingerprint(address: Address) -> Fingerprint:
    """Of every user database, and of the roles. Needs a superuser: password hashes count too."""
    with translated():
        with connect(address) as session:
            databases = facts.databases(session)
            result: Fingerprint = {
                "roles": dict(session.execute(_ROLES).fetchall()),
                "memberships": dict(session.execute(_MEMBERSHIPS).fetchall()),
            }
        contents: Fingerprint = {}
        for database in databases:
            with connect(address, str(database["name"])) as session:
                if database["name"] != "postgres" or facts.has_user_objects(session):
                    contents[str(database["name"])] = {
                        **_content(session),
                        "properties": _properties(database),
                    }
    return {**result, "databases": contents}


def _content(session: Session) -> Fingerprint:
    return {
        "rows": _each(session, _TABLES, _rows),
        "sequences": _each(session, _SEQUENCES, _sequence),
        **{
            kind: dict(
                session.execute(
                    SQL(query).format(user_schema=USER_SCHEMA)  # pyright: ignore[reportArgumentType]
                ).fetchall()
            )
            for kind, query in _DEFINITIONS.items()
        },
    }


def _each(
    session: Session, query: str, look: Callable[[Session, Identifier], list[Any]]
) -> Fingerprint:
    statement = SQL(query).format(user_schema=USER_SCHEMA)  # pyright: ignore[reportArgumentType]
    found = session.execute(statement).fetchall()
    return {f"{schema}.{name}": look(session, Identifier(schema, name)) for schema, name in found}


def _rows(session: Session, table: Identifier) -> list[Any]:
    return list(session.execute(SQL(_ROWS).format(table)).fetchone() or ())


def _sequence(session: Session, sequence: Identifier) -> list[Any]:
    query = SQL("SELECT last_value, is_called FROM {}").format(sequence)
    return list(session.execute(query).fetchone() or ())


_PROPERTIES = (
    "owner",
    "encoding",
    "provider",
    "collate",
    "ctype",
    "locale",
    "comment",
    "settings",
    "connectionLimit",
    "template",
    "acl",
)


def _properties(database: Mapping[str, Any]) -> Fingerprint:
    return {name: database[name] for name in _PROPERTIES}


def differences(one: Mapping[str, Any], other: Mapping[str, Any], path: str = "") -> list[str]:
    """The entries that differ, each with its path and both values; empty when equal."""
    found: list[str] = []
    for key in sorted({*one, *other}):
        left, right = one.get(key), other.get(key)
        if isinstance(left, dict) and isinstance(right, dict):
            found += differences(left, right, f"{path}{key} / ")  # pyright: ignore[reportUnknownArgumentType]
        elif left != right:
            found.append(f"{path}{key}: {left!r} and {right!r}")
    return found
