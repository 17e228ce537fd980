"""Warns of what a backup leaves out, and of what may not restore elsewhere, when it is taken.

A dump holds what `pg_dump` dumps of databases that can be entered, and nothing else. Everything
else that a person could miss is named here, with what to do. No function of the user's runs for
that: catalogues are read, and the source text of functions is searched.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from psycopg import sql

from holdfast.contracts.engine import Address, warning
from holdfast.domain.errors import AddonRefused
from holdfast.engines.postgresql.client import facts
from holdfast.engines.postgresql.client.address import Session, connect
from holdfast.engines.postgresql.client.databases import exists
from holdfast.engines.postgresql.client.name_bytes import is_text, readable
from holdfast.engines.postgresql.dump.inventory import USER_SCHEMA

Finding = Mapping[str, str | None]

_CLOSED_DATABASES = """
SELECT datname::text, datconnlimit = -2 FROM pg_database
 WHERE (NOT datallowconn OR datconnlimit = -2) AND datname <> 'template0' ORDER BY 1
"""

_SLOTS = """
SELECT slot_name::text, slot_type, database::text FROM pg_replication_slots
 WHERE NOT temporary ORDER BY 1
"""

_PAGE_CHECKS_OFF = """
SELECT name FROM pg_settings
 WHERE name IN ('zero_damaged_pages', 'ignore_checksum_failure') AND setting = 'on'
"""

_LABELLED_DATABASES = """
SELECT d.datname::text FROM pg_shseclabel l JOIN pg_database d ON d.oid = l.objoid
 WHERE l.classoid = 'pg_database'::regclass ORDER BY 1
"""

# pg_dump omits what was added to a table of an extension, and indexes that are not valid.
_NOT_DUMPED = """
WITH theirs AS (
  SELECT d.objid AS oid, e.extname FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
   WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_extension'::regclass
     AND d.deptype = 'e'
)
SELECT 'index ' || i.indexrelid::regclass, 'it is on a table of extension ' || t.extname
  FROM pg_index i JOIN theirs t ON t.oid = i.indrelid WHERE i.indexrelid >= 16384
   AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)
   AND NOT EXISTS (SELECT FROM theirs x WHERE x.oid = i.indexrelid)
   AND i.indexrelid > (SELECT max(a.oid) FROM theirs a WHERE a.extname = t.extname)
UNION ALL
SELECT 'trigger ' || g.tgname || ' of ' || g.tgrelid::regclass,
       'it is on a table of extension ' || t.extname
  FROM pg_trigger g JOIN theirs t ON t.oid = g.tgrelid
 WHERE NOT g.tgisinternal AND g.oid > (SELECT max(a.oid) FROM theirs a WHERE a.extname = t.extname)
   AND NOT EXISTS (SELECT FROM pg_depend m WHERE m.classid = 'pg_trigger'::regclass
                      AND m.objid = g.oid AND m.deptype = 'e')
UNION ALL
SELECT 'index ' || i.indexrelid::regclass, 'it is not valid; REINDEX it, or drop it'
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE {user_schema} AND c.relkind = 'i' AND NOT (i.indisvalid AND i.indisready)
UNION ALL
SELECT 'table ' || c.oid::regclass,
       'it is unlogged, and a standby has no rows of such tables'
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE {user_schema} AND c.relkind = 'r' AND c.relpersistence = 'u' AND pg_is_in_recovery()
UNION ALL
SELECT 'function ' || p.oid::regprocedure, 'it is in pg_catalog'
  FROM pg_proc p
 WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.oid >= 16384
   AND p.proname NOT LIKE 'holdfast\\_%'
   AND NOT EXISTS (SELECT FROM pg_depend m WHERE m.classid = 'pg_proc'::regclass
                      AND m.objid = p.oid AND m.deptype IN ('e', 'i'))
UNION ALL
SELECT 'relation ' || c.oid::regclass, 'it is in ' || n.nspname
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname IN ('pg_catalog', 'information_schema') AND c.oid >= 16384
   AND c.relkind IN ('r', 'v', 'm', 'f', 'S', 'p')
   AND NOT EXISTS (SELECT FROM pg_depend m WHERE m.classid = 'pg_class'::regclass
                      AND m.objid = c.oid AND m.deptype = 'e')
UNION ALL
SELECT 'language ' || l.lanname, 'pg_dump does not say what carries it out: create it where the'
       ' dump is restored, or make an extension of it'
  FROM pg_language l JOIN pg_proc h ON h.oid = l.lanplcallfoid
 WHERE l.oid >= 16384 AND h.pronamespace = 'pg_catalog'::regnamespace
   AND NOT EXISTS (SELECT FROM pg_depend m WHERE m.classid = 'pg_language'::regclass
                      AND m.objid = l.oid AND m.deptype = 'e')
 ORDER BY 1
"""

_LOGIN_TRIGGERS = """
SELECT evtname::text FROM pg_event_trigger
 WHERE evtevent = 'login' AND evtenabled <> 'D'
   AND current_setting('event_triggers', true) = 'on' ORDER BY 1
"""

_UNLOGGED_TABLES = """
SELECT c.oid::regclass::text FROM pg_class c
 WHERE c.relkind = 'r' AND c.relpersistence = 'u' ORDER BY 1
"""

_PUBLIC_IS_CLOSED_SINCE = 15_00_00
_CREATORS_IN_PUBLIC = """
SELECT DISTINCT r.rolname::text
  FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_database d ON d.datname = current_database()
 WHERE n.nspname = 'public' AND NOT r.rolsuper AND NOT pg_has_role(r.oid, d.datdba, 'MEMBER')
   AND n.nspacl IS NOT DISTINCT FROM (SELECT initprivs FROM pg_init_privs i
                                       WHERE i.classoid = 'pg_namespace'::regclass
                                         AND i.objoid = n.oid)
 ORDER BY 1
"""
"""Roles that create in `public` only because all roles may."""

_SUBSCRIPTIONS = """
SELECT s.subname::text FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
 WHERE d.datname = current_database() AND s.subenabled ORDER BY 1
"""

_FOREIGN_VIEWS = """
WITH RECURSIVE reads (view, relation) AS (
  SELECT r.ev_class, d.refobjid FROM pg_rewrite r
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
   WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
), reached (view, relation) AS (
  SELECT view, relation FROM reads JOIN pg_class c ON c.oid = view WHERE c.relkind = 'm'
  UNION
  SELECT h.view, r.relation FROM reached h JOIN reads r ON r.view = h.relation
)
SELECT DISTINCT h.view::regclass::text, t.ftrelid::regclass::text, s.srvname::text
  FROM reached h JOIN pg_foreign_table t ON t.ftrelid = h.relation
  JOIN pg_foreign_server s ON s.oid = t.ftserver ORDER BY 1, 2
"""

# Functions without a search path of their own that a restore evaluates, and what calls them.
# The dependency of a generated column is on the column up to 14, and on its expression since.
_CALLED_FUNCTIONS = """
WITH evaluated AS (
  SELECT 'pg_class'::regclass AS classid, c.oid, 0 AS part, 'index ' || c.oid::regclass AS what
    FROM pg_class c WHERE c.relkind IN ('i', 'I') AND c.oid >= 16384
  UNION ALL
  SELECT k.classid, k.oid, k.part,
         'generated column ' || a.attrelid::regclass || '.' || a.attname
    FROM pg_attrdef d JOIN pg_attribute a ON (a.attrelid, a.attnum) = (d.adrelid, d.adnum),
         LATERAL (VALUES ('pg_attrdef'::regclass, d.oid, 0),
                         ('pg_class'::regclass, a.attrelid, a.attnum)) k (classid, oid, part)
   WHERE a.attgenerated <> ''
  UNION ALL
  SELECT 'pg_constraint'::regclass, k.oid, 0, 'constraint ' || k.conname
    FROM pg_constraint k WHERE k.contype IN ('c', 'x')
  UNION ALL
  SELECT 'pg_rewrite'::regclass, r.oid, 0, 'materialized view ' || c.oid::regclass
    FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class WHERE c.relkind = 'm'
)
SELECT e.what, p.oid::regprocedure::text, p.prosrc
  FROM evaluated e
  JOIN pg_depend d ON (d.classid, d.objid, d.objsubid) = (e.classid, e.oid, e.part)
  JOIN pg_proc p ON d.refclassid = 'pg_proc'::regclass AND d.refobjid = p.oid
  JOIN pg_language l ON l.oid = p.prolang
 WHERE l.lanname NOT IN ('c', 'internal') AND p.prosqlbody IS NULL
   AND NOT EXISTS (SELECT FROM unnest(p.proconfig) s WHERE s LIKE 'search\\_path=%')
   AND NOT EXISTS (SELECT FROM pg_depend m WHERE m.classid = 'pg_proc'::regclass
                      AND m.objid = p.oid AND m.deptype = 'e')
 ORDER BY 1, 2
"""

_MATERIALIZED_VIEWS = """
SELECT 'materialized view ' || c.oid::regclass, pg_get_viewdef(c.oid) FROM pg_class c
 WHERE c.relkind = 'm' AND c.oid >= 16384
   AND NOT EXISTS (SELECT FROM pg_depend m WHERE m.classid = 'pg_class'::regclass
                      AND m.objid = c.oid AND m.deptype = 'e')
 ORDER BY 1
"""

_NAMES = """
SELECT lower(c.relname), false FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE {user_schema} AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
UNION
SELECT lower(p.proname), true FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE {user_schema}
   AND NOT EXISTS (SELECT FROM pg_proc b WHERE b.pronamespace = 'pg_catalog'::regnamespace
                      AND b.proname = p.proname)
"""

_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_STRING = re.compile(r"'((?:[^']|'')*)'")
_RELATION = re.compile(
    r"\b(?:from|join|into|update|only)\s+\"?(\w+)\"?(?![\w\"]*\s*[.(])", re.IGNORECASE
)
_CALL = re.compile(r"(?<![\w.\"])\"?(\w+)\"?\s*\(")
_EMPTY_PATH = (
    "while a dump is restored the search path is empty; name it with its schema, or ALTER FUNCTION"
    " ... SET search_path"
)


def sentence(finding: Finding) -> str:
    """A warning as one line of the operation's log."""
    prefix = f"{finding['database']}: " if finding["database"] else ""
    return f"{prefix}{finding['object']}: {finding['text']}"


def server_warnings(session: Session, address: Address) -> Iterator[Finding]:
    """Warnings of databases that are in no dump, and of objects outside databases."""
    if not exists(session, address.database):
        yield warning(address.database, "database", "the addon's own database is not there")
    for name, half in session.execute(_CLOSED_DATABASES).fetchall():
        remedy = (
            "its DROP DATABASE did not finish, and nothing can be read any more; drop it"
            if half
            else "it allows no connections and is not in the dump; ALTER DATABASE ..."
            " ALLOW_CONNECTIONS true, or take a snapshot"
        )
        yield warning(readable(name), "database", remedy)
    for (name,) in session.execute("SELECT datname::text FROM pg_database").fetchall():
        if not is_text(name):
            text = "its name is no UTF-8, and it is not in the dump; ALTER DATABASE ... RENAME"
            yield warning(readable(name), "database", text)
    for slot, kind, database in session.execute(_SLOTS).fetchall():
        text = f"{kind} replication slots are in no dump; make it anew after a restore"
        yield warning(database, f"replication slot {slot}", text)
    for (name,) in session.execute(_LABELLED_DATABASES).fetchall():
        yield warning(name, "security label of the database", "it is not in the dump")
    for (name,) in session.execute(_PAGE_CHECKS_OFF).fetchall():
        text = "it is on: the server passes damaged pages over, and their rows are in no dump"
        yield warning(None, f"setting {name}", text)
    try:
        with connect(address, "template1") as template:
            if facts.has_user_objects(template):
                text = "its objects are not in the dump, and new databases have them; dump it apart"
                yield warning("template1", "objects of template1", text)
    except AddonRefused:
        return  # a closed template1 was named above, and a missing one holds nothing


def snapshot_warnings(session: Session, address: Address) -> Iterator[Finding]:
    """Warnings of what a physical copy of the whole server does not bring back."""
    for slot, kind, database in session.execute(_SLOTS).fetchall():
        text = f"{kind} replication slots are in no copy; make it anew after a restore"
        yield warning(database, f"replication slot {slot}", text)
    for database in facts.databases(session):
        name = str(database["name"])
        try:
            with connect(address, name) as inside:
                for (table,) in inside.execute(_UNLOGGED_TABLES).fetchall():
                    text = "it is unlogged, and comes back empty"
                    yield warning(name, f"table {readable(table)}", text)
                for (subscription,) in inside.execute(_SUBSCRIPTIONS).fetchall():
                    text = "restored without being enabled; ALTER SUBSCRIPTION ... ENABLE"
                    yield warning(name, f"subscription {readable(subscription)}", text)
        except AddonRefused:
            continue  # the right to replicate includes no right to enter databases


def database_warnings(session: Session) -> Iterator[Finding]:
    """Warnings of the database that `session` is in."""
    name = session.info.dbname
    query = sql.SQL(_NOT_DUMPED).format(user_schema=USER_SCHEMA)
    for object_name, reason in session.execute(query).fetchall():
        yield warning(name, readable(object_name), f"not in the dump: {reason}")
    for (trigger,) in session.execute(_LOGIN_TRIGGERS).fetchall():
        text = "it runs in the sessions of this backup: only a superuser's can do without"
        yield warning(name, f"event trigger {readable(trigger)}", text)
    if session.info.server_version < _PUBLIC_IS_CLOSED_SINCE:
        for (role,) in session.execute(_CREATORS_IN_PUBLIC).fetchall():
            text = f"restored into 15 or newer, {role} may not create in it; grant CREATE there"
            yield warning(name, "schema public", text)
    for (subscription,) in session.execute(_SUBSCRIPTIONS).fetchall():
        text = (
            "restored without being enabled; ALTER SUBSCRIPTION ... ENABLE and REFRESH PUBLICATION"
        )
        yield warning(name, f"subscription {readable(subscription)}", text)
    for view, table, server in session.execute(_FOREIGN_VIEWS).fetchall():
        text = f"a restore fills it only where the server {server} of {table} answers"
        yield warning(name, f"materialized view {readable(view)}", readable(text))
    for object_name, text in _search_path_warnings(session):
        yield warning(name, readable(object_name), readable(text))


def _search_path_warnings(session: Session) -> Iterator[tuple[str, str]]:
    """Objects whose code seems to find names by the search path only."""
    called = session.execute(_CALLED_FUNCTIONS).fetchall()
    views = session.execute(_MATERIALIZED_VIEWS).fetchall()
    if not called and not views:
        return
    query = sql.SQL(_NAMES).format(user_schema=USER_SCHEMA)
    kinds: dict[bool, set[str]] = {False: set(), True: set()}
    for name, is_function in session.execute(query).fetchall():
        kinds[is_function].add(name)
    for object_name, function, body in called:
        names = _unqualified(_COMMENT.sub(" ", body), kinds[False], kinds[True])
        if names:
            yield (
                object_name,
                f"function {function} finds {', '.join(names)} by the search path: {_EMPTY_PATH}",
            )
    for object_name, text in views:
        strings = " ".join(match.replace("''", "'") for match in _STRING.findall(text))
        names = _unqualified(strings, kinds[False], set())
        if names:
            yield (
                object_name,
                f"its query finds {', '.join(names)} by the search path: {_EMPTY_PATH}",
            )


def _unqualified(text: str, relations: set[str], functions: set[str]) -> Sequence[str]:
    names = {name.lower() for name in _RELATION.findall(text)} & relations
    return sorted(names | ({name.lower() for name in _CALL.findall(text)} & functions))
