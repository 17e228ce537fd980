"""Everything of a server that a restore must bring back, boiled down to comparable values.

It shares no code with the engine. Rows are hashed by the server and summed, so neither their order
nor their number costs us memory. Two servers are equal when their fingerprints are; where they are
not, `differences` names the entries.
"""

from collections.abc import Callable, Mapping
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Composed, Identifier, Literal

from holdfast.contracts.engine import Address

Session = psycopg.Connection[tuple[Any, ...]]
USER_SCHEMA = SQL("n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'")

Fingerprint = dict[str, Any]

_TABLES = """
SELECT n.nspname::text, c.relname::text, c.relkind::text
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm', 'p') AND NOT c.relispartition AND {user_schema} ORDER BY 1, 2
"""
_ROWS = """
SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text FROM {} t
"""
_FILLED = "SELECT relispopulated FROM pg_class WHERE oid = {}::regclass"
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
  FROM pg_trigger t WHERE NOT t.tgisinternal AND t.tgparentid = 0""",
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
    "relations": """
SELECT c.oid::regclass::text,
       concat_ws(' ', c.relkind, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity,
                 c.relreplident, c.reloptions, pg_get_expr(c.relpartbound, c.oid),
                 pg_get_partkeydef(c.oid),
                 (SELECT string_agg(i.inhparent::regclass::text, ',' ORDER BY i.inhseqno)
                    FROM pg_inherits i WHERE i.inhrelid = c.oid))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND {user_schema}""",
    "types": """
SELECT t.oid::regtype::text,
       concat_ws(' ', t.typtype, t.typnotnull, format_type(t.typbasetype, t.typtypmod),
                 t.typdefault,
                 (SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder)
                    FROM pg_enum e WHERE e.enumtypid = t.oid))
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE t.typtype IN ('d', 'e', 'r') AND {user_schema}""",
    "collations": """
SELECT n.nspname || '.' || c.collname,
       concat_ws(' ', c.collprovider, c.collcollate, c.collctype, c.collisdeterministic)
  FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace WHERE {user_schema}""",
    "rules": """
SELECT r.ev_class::regclass || ' ' || r.rulename, pg_get_ruledef(r.oid)
  FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE r.rulename <> '_RETURN' AND {user_schema}""",
    "statistics": """
SELECT n.nspname || '.' || s.stxname, pg_get_statisticsobjdef(s.oid)
  FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE {user_schema}""",
    "publications": """
SELECT p.pubname::text,
       concat_ws(' ', p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate,
                 (SELECT string_agg(r.prrelid::regclass::text, ',' ORDER BY 1)
                    FROM pg_publication_rel r WHERE r.prpubid = p.oid))
  FROM pg_publication p""",
    "foreign": """
SELECT f.ftrelid::regclass::text, concat_ws(' ', s.srvname, s.srvoptions, w.fdwname, f.ftoptions)
  FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver
  JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw""",
    "default privileges": """
SELECT concat_ws(' ', pg_get_userbyid(d.defaclrole), d.defaclnamespace::regnamespace,
                 d.defaclobjtype), d.defaclacl::text FROM pg_default_acl d""",
    "comments": """
SELECT d.classoid::regclass || ' ' || pg_describe_object(d.classoid, d.objoid, d.objsubid),
       d.description
  FROM pg_description d WHERE d.objoid >= 16384
   AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = d.classoid AND e.objid = d.objoid
                      AND e.deptype = 'e')""",
    "extensions": "SELECT extname::text, extnamespace::regnamespace::text FROM pg_extension",
    "large objects": """
SELECT l.oid::text, md5(lo_get(l.oid)) || ' ' || pg_get_userbyid(l.lomowner)
  FROM pg_largeobject_metadata l""",
}

_ROLES = """
SELECT r.rolname::text, concat_ws(' ', r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb,
         r.rolcanlogin, r.rolreplication, r.rolbypassrls, r.rolconnlimit, r.rolvaliduntil,
         {password}, array_to_string(r.rolconfig, ';'),
         shobj_description(r.oid, 'pg_authid'))
  FROM pg_roles r{authorities}
 WHERE r.rolname NOT LIKE 'pg\\_%' AND r.rolname <> current_user ORDER BY 1
"""
_MEMBERSHIPS = """
SELECT pg_get_userbyid(m.roleid) || ' to ' || pg_get_userbyid(m.member), bool_or(m.admin_option)
  FROM pg_auth_members m GROUP BY 1 ORDER BY 1
"""


_DATABASES = """
SELECT d.datname::text, pg_get_userbyid(d.datdba)::text, pg_encoding_to_char(d.encoding)::text,
       d.datcollate::text, d.datctype::text, d.datconnlimit, d.datistemplate,
       shobj_description(d.oid, 'pg_database'), coalesce(to_jsonb(d) ->> 'datlocprovider', 'c'),
       (SELECT string_agg(concat_ws(' ', CASE WHEN a.grantee = 0 THEN 'PUBLIC'
                                         ELSE pg_get_userbyid(a.grantee) END,
                                    a.privilege_type, a.is_grantable), ', '
                          ORDER BY a.grantee::regrole::text, a.privilege_type)
          FROM aclexplode(d.datacl) a),
       (SELECT string_agg(concat_ws(' ', r.rolname, s.setconfig), '; ' ORDER BY r.rolname)
          FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole
         WHERE s.setdatabase = d.oid)
  FROM pg_database d
 WHERE d.datname NOT IN ('template0', 'template1') AND d.datname NOT LIKE 'holdfast%'
   AND d.datallowconn ORDER BY 1
"""
_PROPERTIES = (
    "owner",
    "encoding",
    "collate",
    "ctype",
    "connectionLimit",
    "template",
    "comment",
    "provider",
    "acl",
    "settings",
)


def fingerprint(address: Address) -> Fingerprint:
    """Of every user database, and of the roles; to a superuser their password hashes count too."""
    with connect(address, address.database) as session:
        databases = session.execute(_DATABASES).fetchall()
        result: Fingerprint = {
            "roles": dict(session.execute(_roles(session)).fetchall()),
            "memberships": dict(session.execute(_MEMBERSHIPS).fetchall()),
        }
    contents: Fingerprint = {}
    for name, *properties in databases:
        with connect(address, name) as session:
            found = _content(session)
        if name != "postgres" or found["relations"] or found["functions"]:
            found["properties"] = dict(zip(_PROPERTIES, properties, strict=True))
            contents[name] = found
    return {**result, "databases": contents}


def _roles(session: Session) -> Composed:
    row = session.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    sees = row is not None and row[0]
    return SQL(_ROLES).format(
        password=SQL("md5(s.rolpassword)" if sees else "NULL"),
        authorities=SQL(" JOIN pg_authid s ON s.oid = r.oid" if sees else ""),
    )


def connect(address: Address, database: str) -> Session:
    text = make_conninfo(
        host=address.host,
        port=address.port,
        user=address.user,
        password=address.password.reveal(),
        dbname=database,
        client_encoding="UTF8",
        options="-c search_path=",
    )
    return psycopg.connect(text, autocommit=True)


def _content(session: Session) -> Fingerprint:
    session.execute('SET search_path TO "$user", public')  # what indexes call may need it
    rows = {
        f"{schema}.{name}": _rows(session, schema, name, kind)
        for schema, name, kind in _tables(session)
    }
    session.execute("SET search_path TO ''")
    return {
        "rows": rows,
        "sequences": _each(session, _SEQUENCES, _sequence),
        **{
            kind: dict(session.execute(SQL(query).format(user_schema=USER_SCHEMA)).fetchall())
            for kind, query in _DEFINITIONS.items()
        },
    }


def _each(
    session: Session, query: str, look: Callable[[Session, Identifier], list[Any]]
) -> Fingerprint:
    statement = SQL(query).format(user_schema=USER_SCHEMA)
    found = session.execute(statement).fetchall()
    return {f"{schema}.{name}": look(session, Identifier(schema, name)) for schema, name in found}


def _tables(session: Session) -> list[tuple[str, str, str]]:
    return session.execute(SQL(_TABLES).format(user_schema=USER_SCHEMA)).fetchall()


def _rows(session: Session, schema: str, name: str, kind: str) -> list[Any]:
    """Of a partitioned table those of all its parts: in which one a row is may differ."""
    table = Identifier(schema, name)
    filled = session.execute(SQL(_FILLED).format(Literal(table.as_string(session)))).fetchone()
    if filled != (True,):
        return ["not filled"]
    place = SQL("{}" if kind == "p" else "ONLY {}").format(table)
    return list(session.execute(SQL(_ROWS).format(place)).fetchone() or ())


def _sequence(session: Session, sequence: Identifier) -> list[Any]:
    query = SQL("SELECT last_value, is_called FROM {}").format(sequence)
    return list(session.execute(query).fetchone() or ())


def differences(one: Mapping[str, Any], other: Mapping[str, Any], path: str = "") -> list[str]:
    """The entries that differ, each with its path and both values; empty when equal."""
    found: list[str] = []
    for key in sorted({*one, *other}):
        left, right = one.get(key), other.get(key)
        if isinstance(left, dict) and isinstance(right, dict):
            found += differences(left, right, f"{path}{key} / ")
        elif left != right:
            found.append(f"{path}{key}: {left!r} and {right!r}")
    return found
