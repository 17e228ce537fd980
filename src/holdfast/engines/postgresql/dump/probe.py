"""Inspects a server before anything is promised: version, size, and our right to read
everything."""

from psycopg import sql

from holdfast.contracts.engine import ABSENT, Address, Probe
from holdfast.domain.errors import AddonRefused
from holdfast.engines.postgresql.client import facts
from holdfast.engines.postgresql.client.address import Session, connect
from holdfast.engines.postgresql.client.databases import exists
from holdfast.engines.postgresql.client.facts import Facts
from holdfast.engines.postgresql.client.server_errors import pooler, translated
from holdfast.engines.postgresql.client.tools import MAJORS
from holdfast.engines.postgresql.dump.inventory import USER_SCHEMA

_MAX_NAMED = 5  # missing privileges in an error message

# pg_dump locks and reads tables and sequences: it needs SELECT on them, and USAGE on their schemas.
# Of an extension it reads only tables whose rows the extension says are the user's. Row security
# filters silently, so a table with policies must be ours or we must be exempt.
_UNREADABLE = """
WITH dumped AS (
  SELECT c.oid, c.relkind, n.oid AS schema,
         quote_ident(n.nspname) AS place, quote_ident(c.relname) AS name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE {user_schema} AND c.relpersistence <> 't' AND c.relkind IN ('r', 'p', 'S')
     AND (EXISTS (SELECT FROM pg_extension e WHERE c.oid = ANY(e.extconfig))
          OR NOT EXISTS (SELECT FROM pg_depend d
                          WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                            AND d.deptype = 'e'))
)
SELECT DISTINCT o.what FROM (
  SELECT 'USAGE on schema ' || place AS what
    FROM dumped WHERE NOT has_schema_privilege(schema, 'USAGE')
  UNION ALL
  SELECT 'SELECT on ' || place || '.' || name FROM dumped
   WHERE CASE WHEN relkind = 'S' THEN NOT has_sequence_privilege(oid, 'SELECT')
              ELSE NOT has_table_privilege(oid, 'SELECT') END
  UNION ALL
  SELECT 'BYPASSRLS for ' || place || '.' || name
    FROM dumped WHERE relkind <> 'S' AND row_security_active(oid)
  UNION ALL
  SELECT 'SELECT on large object ' || l.oid
    FROM pg_largeobject_metadata l
   WHERE NOT pg_has_role(l.lomowner, 'MEMBER')
     AND NOT EXISTS (SELECT FROM aclexplode(l.lomacl) a
                      WHERE a.privilege_type = 'SELECT'
                        AND (a.grantee = 0 OR pg_has_role(a.grantee, 'USAGE')))
) o ORDER BY 1
"""


def probe(address: Address) -> Probe:
    """Raises AddonUnavailable or AddonRefused with the reason.

    A missing database of the address itself is a fact and no refusal: a restore may be meant to
    bring it back.
    """
    with translated(), connect(address) as session:
        server = inspect_server(session, address)
        databases = facts.databases(session)
        absent = not exists(session, address.database)
    missing = [] if server["super"] else _missing_privileges(address, databases)
    if missing:
        listed = "; ".join(missing[:_MAX_NAMED])
        more = f" and {len(missing) - _MAX_NAMED} more" if len(missing) > _MAX_NAMED else ""
        raise AddonRefused(
            f"user {address.user} may not read everything. Missing: {listed}{more}. "
            f"Grant pg_read_all_data and ownership where named, or use a superuser.",
            reason="privilege",
            missing=missing,
        )
    return Probe(
        version=server["version"],
        major=str(server["major"]),
        flavour=server["flavour"],
        size=sum(int(database["size"]) for database in databases),
        facts={
            "superuser": server["super"],
            "standby": server["standby"],
            "databases": [database["name"] for database in databases],
            "consistency": "each database by itself, roles apart",
            "passwords": server["super"],
            **({ABSENT: address.database} if absent else {}),
        },
    )


def connections(address: Address) -> int:
    """Clients that are connected now, without us."""
    with translated(), connect(address) as session:
        counted = session.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return int(next(counted)[0])


def inspect_server(session: Session, address: Address) -> Facts:
    """The server's facts; refuses poolers, other products and majors that are too old."""
    server = facts.server(session)
    endpoint = f"{address.host}:{address.port}"
    if server["pid"] != session.info.backend_pid:
        raise pooler(endpoint)
    if server["flavour"] != "PostgreSQL":
        raise AddonRefused(f"{server['flavour']} at {endpoint} is not PostgreSQL", reason="flavour")
    if server["major"] < MAJORS[0]:
        raise AddonRefused(
            f"PostgreSQL {server['version']} at {endpoint} is too old: {MAJORS[0]} at least",
            reason="version",
        )
    return server


def _missing_privileges(address: Address, databases: list[Facts]) -> list[str]:
    missing: list[str] = []
    for database in databases:
        name = str(database["name"])
        with translated(), connect(address, name) as session:
            if name == "postgres" and not facts.has_user_objects(session):
                continue
            query = sql.SQL(_UNREADABLE).format(user_schema=USER_SCHEMA)
            missing += [f"{row[0]} in database {name}" for row in session.execute(query)]
    return missing
