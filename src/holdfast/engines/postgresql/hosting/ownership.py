"""Gives the objects of a database's superuser to the addon's owner, except those that reach the
machine.

`REASSIGN OWNED` refuses the role that `initdb` made, so each object is given away by a statement of
its own. What only a superuser may own stays with ours, and no other role can use it: functions in
languages that reach beyond the database, foreign tables of files, event triggers (disabled: they
would run in every session, with the rights of its user, and that may be us).
"""

from collections.abc import Iterator

from psycopg.sql import SQL, Composed, Identifier, Literal

from holdfast.engines.postgresql.client.address import Session
from holdfast.engines.postgresql.hosting.administrator import try_statement

EXTRA_EXTENSIONS = (
    "amcheck",
    "bloom",
    "dblink",
    "dict_xsyn",
    "intagg",
    "pg_buffercache",
    "pg_freespacemap",
    "pg_prewarm",
    "pg_stat_statements",
    "pg_visibility",
    "pgrowlocks",
    "pgstattuple",
    "postgres_fdw",
    "sslinfo",
)
"""Extensions the owner may create beyond those that PostgreSQL itself calls trusted. Their scripts
only define objects: they call nothing of the owner's."""

HELPER = "holdfast_create_extension"
"""A function in `pg_catalog`, so that no dump holds it and no inventory counts it."""

_HELPER = """
CREATE OR REPLACE FUNCTION pg_catalog.{helper}(extension name) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  IF NOT extension = ANY ({allowed}::name[]) THEN
    RAISE insufficient_privilege USING MESSAGE =
      format('extension %s is not among those that may be made on this server', extension),
      HINT = array_to_string({allowed}::name[], ', ');
  END IF;
  IF NOT pg_has_role(session_user, (SELECT datdba FROM pg_database
                                     WHERE datname = current_database()), 'MEMBER') THEN
    RAISE insufficient_privilege USING
      MESSAGE = 'only the owner of a database makes its extensions';
  END IF;
  EXECUTE format('CREATE EXTENSION IF NOT EXISTS %I WITH SCHEMA public', extension);
  IF extension = 'postgres_fdw' THEN
    EXECUTE format('GRANT USAGE ON FOREIGN DATA WRAPPER %I TO %I', extension,
                   (SELECT pg_get_userbyid(datdba) FROM pg_database
                     WHERE datname = current_database()));
  END IF;
END $body$
"""

_NO_MEMBER = """NOT EXISTS (SELECT FROM pg_depend m WHERE m.classid = '{catalog}'::regclass
                      AND m.objid = {alias}.oid AND m.deptype = 'e')"""

_UNSAFE_FUNCTION = (
    "(l.lanname IN ('c', 'internal') AND p.prokind <> 'a'"
    " OR NOT l.lanpltrusted AND l.lanname NOT IN ('sql', 'c', 'internal'))"
)
"""Functions that can reach beyond their database."""

_UNSAFE_WRAPPER = "w.fdwhandler <> 0 AND w.fdwname <> 'postgres_fdw'"
"""Foreign data wrappers with code: they reach files or other machines."""


def _user_made(catalog: str, alias: str) -> str:
    return f"{alias}.oid >= 16384 AND " + _NO_MEMBER.format(catalog=catalog, alias=alias)


_OWNED = f"""
SELECT format('ALTER SCHEMA %I OWNER TO', nspname) FROM pg_namespace n
 WHERE nspowner = 10 AND {_user_made("pg_namespace", "n")} AND nspname NOT LIKE 'pg\\_%'
UNION ALL
SELECT format('ALTER TYPE %s OWNER TO', t.oid::regtype) FROM pg_type t
 WHERE typowner = 10 AND typtype IN ('b', 'd', 'e', 'r') AND {_user_made("pg_type", "t")}
   AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)
UNION ALL
SELECT format(CASE relkind WHEN 'S' THEN 'ALTER SEQUENCE %s OWNER TO'
                           WHEN 'v' THEN 'ALTER VIEW %s OWNER TO'
                           WHEN 'm' THEN 'ALTER MATERIALIZED VIEW %s OWNER TO'
                           WHEN 'f' THEN 'ALTER FOREIGN TABLE %s OWNER TO'
                           WHEN 'c' THEN 'ALTER TYPE %s OWNER TO'
                           ELSE 'ALTER TABLE %s OWNER TO' END, c.oid::regclass)
  FROM pg_class c
 WHERE relowner = 10 AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')
   AND {_user_made("pg_class", "c")} AND relpersistence <> 't'
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE relkind = 'S' AND d.classid = 'pg_class'::regclass
                      AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
                      AND d.deptype IN ('a', 'i'))
   AND NOT EXISTS (SELECT FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver
                     JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
                    WHERE f.ftrelid = c.oid AND {_UNSAFE_WRAPPER})
UNION ALL
SELECT format('ALTER ROUTINE %s OWNER TO', p.oid::regprocedure)
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
 WHERE proowner = 10 AND {_user_made("pg_proc", "p")} AND NOT {_UNSAFE_FUNCTION}
   AND p.proname <> '{HELPER}'
UNION ALL
SELECT format('ALTER OPERATOR %s OWNER TO', o.oid::regoperator) FROM pg_operator o
 WHERE oprowner = 10 AND {_user_made("pg_operator", "o")}
UNION ALL
SELECT format('ALTER OPERATOR CLASS %I.%I USING %I OWNER TO', n.nspname, o.opcname, a.amname)
  FROM pg_opclass o JOIN pg_namespace n ON n.oid = opcnamespace JOIN pg_am a ON a.oid = opcmethod
 WHERE opcowner = 10 AND {_user_made("pg_opclass", "o")}
UNION ALL
SELECT format('ALTER OPERATOR FAMILY %I.%I USING %I OWNER TO', n.nspname, o.opfname, a.amname)
  FROM pg_opfamily o JOIN pg_namespace n ON n.oid = opfnamespace JOIN pg_am a ON a.oid = opfmethod
 WHERE opfowner = 10 AND {_user_made("pg_opfamily", "o")}
UNION ALL
SELECT format('ALTER COLLATION %I.%I OWNER TO', n.nspname, c.collname)
  FROM pg_collation c JOIN pg_namespace n ON n.oid = collnamespace
 WHERE collowner = 10 AND {_user_made("pg_collation", "c")}
UNION ALL
SELECT format('ALTER CONVERSION %I.%I OWNER TO', n.nspname, c.conname)
  FROM pg_conversion c JOIN pg_namespace n ON n.oid = connamespace
 WHERE conowner = 10 AND {_user_made("pg_conversion", "c")}
UNION ALL
SELECT format('ALTER TEXT SEARCH CONFIGURATION %s OWNER TO', c.oid::regconfig) FROM pg_ts_config c
 WHERE cfgowner = 10 AND {_user_made("pg_ts_config", "c")}
UNION ALL
SELECT format('ALTER TEXT SEARCH DICTIONARY %s OWNER TO', d.oid::regdictionary) FROM pg_ts_dict d
 WHERE dictowner = 10 AND {_user_made("pg_ts_dict", "d")}
UNION ALL
SELECT format('ALTER STATISTICS %I.%I OWNER TO', n.nspname, s.stxname)
  FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = stxnamespace
 WHERE stxowner = 10 AND {_user_made("pg_statistic_ext", "s")}
UNION ALL
SELECT format('ALTER PUBLICATION %I OWNER TO', pubname) FROM pg_publication p
 WHERE pubowner = 10 AND NOT puballtables
UNION ALL
SELECT format('ALTER SERVER %I OWNER TO', srvname) FROM pg_foreign_server s
 WHERE srvowner = 10 AND {_user_made("pg_foreign_server", "s")}
UNION ALL
SELECT format('ALTER LARGE OBJECT %s OWNER TO', oid) FROM pg_largeobject_metadata
 WHERE lomowner = 10
"""  # noqa: S608 - of constants of our own

_LOCKDOWN = f"""
SELECT format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', p.oid::regprocedure)
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
 WHERE {_user_made("pg_proc", "p")} AND {_UNSAFE_FUNCTION} AND p.prokind <> 'a'
   AND (p.proacl IS NULL OR EXISTS (SELECT FROM aclexplode(p.proacl) a WHERE a.grantee = 0))
UNION ALL
SELECT format('ALTER ROUTINE %s OWNER TO %I', p.oid::regprocedure, current_user)
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
 WHERE {_user_made("pg_proc", "p")} AND {_UNSAFE_FUNCTION} AND p.prokind <> 'a'
   AND p.proowner <> 10
UNION ALL
SELECT format('REVOKE ALL ON ROUTINE %s FROM %I CASCADE', p.oid::regprocedure,
              pg_get_userbyid(a.grantee))
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang,
       LATERAL aclexplode(p.proacl) a
 WHERE {_user_made("pg_proc", "p")} AND {_UNSAFE_FUNCTION} AND a.grantee NOT IN (0, 10)
UNION ALL
SELECT format('REVOKE ALL ON ROUTINE %s FROM %s CASCADE', p.oid::regprocedure,
              CASE WHEN a.grantee = 0 THEN 'PUBLIC'
                   ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
  FROM pg_proc p JOIN pg_init_privs i ON i.classoid = 'pg_proc'::regclass AND i.objoid = p.oid,
       LATERAL aclexplode(p.proacl) a
 WHERE a.grantee <> 10
   AND NOT EXISTS (SELECT FROM aclexplode(i.initprivs) b WHERE b.grantee = a.grantee)
UNION ALL
SELECT format('REVOKE ALL ON LANGUAGE %I FROM %s CASCADE', l.lanname,
              CASE WHEN a.grantee = 0 THEN 'PUBLIC'
                   ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
  FROM pg_language l, LATERAL aclexplode(l.lanacl) a
 WHERE NOT l.lanpltrusted AND a.grantee <> 10
UNION ALL
SELECT format('REVOKE ALL ON TABLE %s FROM %s CASCADE', c.oid::regclass,
              CASE WHEN a.grantee = 0 THEN 'PUBLIC'
                   ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
  FROM pg_foreign_table f JOIN pg_class c ON c.oid = f.ftrelid
  JOIN pg_foreign_server s ON s.oid = f.ftserver
  JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw, LATERAL aclexplode(c.relacl) a
 WHERE {_UNSAFE_WRAPPER} AND a.grantee <> 10
UNION ALL
SELECT format('ALTER FOREIGN TABLE %s OWNER TO %I', c.oid::regclass, current_user)
  FROM pg_foreign_table f JOIN pg_class c ON c.oid = f.ftrelid
  JOIN pg_foreign_server s ON s.oid = f.ftserver
  JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
 WHERE {_UNSAFE_WRAPPER} AND c.relowner <> 10
UNION ALL
SELECT format('ALTER EVENT TRIGGER %I DISABLE', evtname) FROM pg_event_trigger
 WHERE evtenabled <> 'D'
UNION ALL
SELECT format('ALTER SUBSCRIPTION %I DISABLE', subname)
  FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
 WHERE d.datname = current_database() AND s.subenabled
"""  # noqa: S608 - of constants of our own

_MACHINE_CODE_TYPES = f"""
SELECT DISTINCT t.oid::regtype::text FROM pg_type t
  JOIN pg_proc p ON p.oid IN (t.typinput, t.typoutput, t.typreceive, t.typsend, t.typmodin,
                              t.typmodout, t.typanalyze)
 WHERE t.typtype = 'b' AND {_user_made("pg_type", "t")} AND p.oid >= 16384
   AND NOT EXISTS (SELECT FROM pg_depend m WHERE m.classid = 'pg_proc'::regclass
                      AND m.objid = p.oid AND m.deptype = 'e')
"""  # noqa: S608 - of constants of our own


def lockdown_statements(session: Session) -> Iterator[Composed]:
    """Statements that take unsafe functions, languages and tables from all users; none when all is
    well."""
    for (statement,) in session.execute(_LOCKDOWN.encode()).fetchall():
        yield _trusted_sql(statement)


def types_in_machine_code(session: Session) -> list[str]:
    """Types whose input function is machine code of no extension.

    No privilege guards the use of a type.
    """
    return [str(row[0]) for row in session.execute(_MACHINE_CODE_TYPES.encode()).fetchall()]


def give_objects(session: Session, owner: str) -> list[str]:
    """Gives the superuser's objects to `owner`. Returns those that could not be given away."""
    left: list[str] = []
    statements = [str(row[0]) for row in session.execute(_OWNED.encode()).fetchall()]
    for statement in statements:
        assignment = SQL("{} {}").format(_trusted_sql(statement), Identifier(owner))
        if not try_statement(session, assignment):
            left.append(statement.removesuffix(" OWNER TO").removeprefix("ALTER "))
    return left


def _trusted_sql(statement: str) -> Composed:
    """SQL that the server made from its own catalogues, with every name quoted."""
    return SQL("{}").format(SQL(statement))  # pyright: ignore[reportArgumentType]


def equip_database(session: Session, owner: str, database_owner: str) -> None:
    """Gives the owner of a database the schema `public` and the function that makes more
    extensions."""
    name = session.info.dbname
    allowed = Literal(list(EXTRA_EXTENSIONS))
    session.execute(SQL(_HELPER).format(helper=Identifier(HELPER), allowed=allowed))
    if name == "postgres":
        session.execute(SQL("GRANT CREATE ON SCHEMA public TO {}").format(Identifier(owner)))
    if session.info.server_version < 15_00_00:
        row = session.execute(
            "SELECT nspowner = 10 FROM pg_namespace WHERE nspname = 'public'"
        ).fetchone()
        if row is not None and row[0]:
            schema_owner = owner if name in ("postgres", "template1") else database_owner
            session.execute(SQL("ALTER SCHEMA public OWNER TO {}").format(Identifier(schema_owner)))


def copy_mappings(session: Session, owner: str) -> None:
    """Copies the old superuser's logins at foreign servers to `owner`."""
    rows = session.execute(
        "SELECT s.srvname::text, m.umoptions FROM pg_user_mapping m"
        " JOIN pg_foreign_server s ON s.oid = m.umserver WHERE m.umuser = 10"
    ).fetchall()
    for server, options in rows:
        pairs = [str(option).partition("=") for option in options or ()]
        option_list = SQL(", ").join(
            SQL("{} {}").format(Identifier(key), Literal(value)) for key, _, value in pairs
        )
        session.execute(
            SQL("CREATE USER MAPPING IF NOT EXISTS FOR {} SERVER {} OPTIONS ({})").format(
                Identifier(owner), Identifier(server), option_list
            )
        )
