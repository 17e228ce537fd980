"""Reads a server's version, databases, tables and privileges as JSON values.

They are recorded with each dump: a restore has to know what the databases need before it begins.
"""

import re
from typing import Any

from holdfast.engines.mysql.client.connection import Session
from holdfast.engines.mysql.client.object_names import is_ours
from holdfast.engines.mysql.client.tools import MARIADB, MYSQL

Facts = dict[str, Any]

SYSTEM = ("mysql", "information_schema", "performance_schema", "sys", "ndbinfo")
SEQUENCE = "SEQUENCE"
VERSIONED = "SYSTEM VERSIONED"
TABLE_TYPES = ("BASE TABLE", VERSIONED)
TRANSACTIONAL = ("InnoDB", "ROCKSDB", "TokuDB", "ndbcluster")
NO_DATA = ("MRG_MyISAM", "MRG_MYISAM", "FEDERATED", "CONNECT", "OQGRAPH", "SPIDER")
"""Engines whose rows are elsewhere: the stock tool dumps only the definition."""

_SERVER = """
SELECT @@version, @@version_comment, @@datadir, @@port, @@read_only, @@lower_case_table_names,
       @@log_bin, current_user(), @@hostname, @@socket
"""
_SERVER_FIELDS = (
    "banner",
    "comment",
    "directory",
    "port",
    "readOnly",
    "lowerCase",
    "binaryLog",
    "user",
    "host",
    "socket",
)
_DATABASES = f"""
SELECT s.schema_name, s.default_character_set_name, s.default_collation_name, {{comment}},
       (SELECT coalesce(sum(t.data_length + t.index_length), 0)
          FROM information_schema.tables t WHERE t.table_schema = s.schema_name)
  FROM information_schema.schemata s
 WHERE lower(s.schema_name) NOT IN ({", ".join(f"'{name}'" for name in SYSTEM)}) ORDER BY 1
"""  # noqa: S608 - of constants
"""Sizes are read per database, because the server opens each table for them."""
_TABLES = """
SELECT table_name, table_type, coalesce(engine, '') FROM information_schema.tables
 WHERE table_schema = %s AND table_type <> 'SYSTEM VIEW' ORDER BY 1
"""
_COLLATIONS = """
SELECT table_collation FROM information_schema.tables
 WHERE table_schema = %s AND table_collation IS NOT NULL
UNION SELECT collation_name FROM information_schema.columns
 WHERE table_schema = %s AND collation_name IS NOT NULL
"""
_FOREIGN = """
SELECT DISTINCT unique_constraint_schema FROM information_schema.referential_constraints
 WHERE constraint_schema = %s AND unique_constraint_schema <> constraint_schema
"""

_REFERENCE_SYSTEMS = """
SELECT srs_id, srs_name, organization, organization_coordsys_id, definition, description
  FROM information_schema.st_spatial_reference_systems
 WHERE srs_id IN (SELECT srs_id FROM information_schema.columns
                   WHERE table_schema = %s AND srs_id IS NOT NULL)
 ORDER BY srs_id
"""


def server(session: Session) -> Facts:
    values = dict(zip(_SERVER_FIELDS, session.row(_SERVER), strict=True))
    match = re.match(r"(?:5\.5\.5-)?(\d+\.\d+\.\d+)", values["banner"])
    return {
        **values,
        "flavour": flavour(values["banner"], values["comment"]),
        "version": match[1] if match else values["banner"],
        "readOnly": str(values["readOnly"]) not in ("0", "OFF"),
        "binaryLog": bool(values["binaryLog"]),
    }


def flavour(banner: str, comment: str) -> str:
    """`MariaDB`, `MySQL`, or the name of another server that speaks their protocol."""
    for other in ("TiDB", "Vitess", "Aurora", "SingleStore", "MemSQL", "OceanBase", "Dolt"):
        if other.lower() in f"{banner} {comment}".lower():
            return other
    return MARIADB if "mariadb" in banner.lower() else MYSQL


def databases(session: Session) -> list[Facts]:
    """All user databases, also empty ones, without those of restores in progress."""
    fields = ("name", "charset", "collation", "comment", "size")
    comment = "s.schema_comment" if MARIADB in session.banner else "''"
    return [
        {**dict(zip(fields, row, strict=True)), "size": int(row[4])}
        for row in session.rows(_DATABASES.format(comment=comment))
        if not is_ours(row[0])
    ]


def tables(session: Session, database: str) -> list[Facts]:
    """Tables, views and sequences of one database, with their engines."""
    fields = ("name", "type", "engine")
    return [dict(zip(fields, row, strict=True)) for row in session.rows(_TABLES, [database])]


def needs(session: Session, database: Facts, tables: list[Facts]) -> Facts:
    """What a target must offer to hold this database."""
    name = database["name"]
    collations = {str(row[0]) for row in session.rows(_COLLATIONS, [name, name])}
    fields = ("id", "name", "organization", "code", "definition", "description")
    systems = [] if MARIADB in session.banner else session.rows(_REFERENCE_SYSTEMS, [name])
    return {
        "engines": sorted(
            {t["engine"] for t in tables if t["engine"] and t["type"] in TABLE_TYPES}
        ),
        "collations": sorted(collations | {str(database["collation"])}),
        "referenceSystems": [dict(zip(fields, row, strict=True)) for row in systems],
        "references": sorted(str(row[0]) for row in session.rows(_FOREIGN, [name])),
        "sequences": any(t["type"] == SEQUENCE for t in tables),
        "versioned": any(t["type"] == VERSIONED for t in tables),
        "mixedCase": any(t["name"] != t["name"].lower() for t in [*tables, database]),
    }


def collation(session: Session, database: str) -> str:
    """That which new tables and texts in stored code of a database get."""
    query = "SELECT default_collation_name FROM information_schema.schemata WHERE schema_name = %s"
    return str(session.value(query, [database]))


def privileges(session: Session) -> set[str]:
    """The global privileges of our user in capitals, with MySQL's dynamic ones."""
    user, _, host = str(session.value("SELECT current_user()")).rpartition("@")
    grantee = f"'{user}'@'{host}'"
    rows = session.rows(
        "SELECT privilege_type FROM information_schema.user_privileges WHERE grantee = %s",
        [grantee],
    )
    return {str(row[0]).upper() for row in rows}


def may_lock_everything(privileges: set[str]) -> bool:
    return bool(privileges & {"RELOAD", "SUPER", "FLUSH_TABLES"})
