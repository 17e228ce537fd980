"""Completes a dump whose file names no database, character set or collation."""

from dataclasses import replace

from holdfast.contracts.engine import Address, Dump, Table
from holdfast.domain.errors import PreflightRefused
from holdfast.engines.mysql.client import facts
from holdfast.engines.mysql.client.connection import Session
from holdfast.engines.mysql.restore.staging import recorded_databases

DEFINING = frozenset(["SUPER", "SET USER", "SET_USER_ID", "SET_ANY_DEFINER"])
"""One of these lets a user create objects for other definers."""


def with_target(session: Session, address: Address, dump: Dump) -> Dump:
    """The dump with the databases and character sets that its file leaves open.

    PreflightRefused when they cannot be known.
    """
    databases = [
        _with_defaults(session, address, database) for database in recorded_databases(dump)
    ]
    names = [database["name"] for database in databases]
    if len(set(names)) < len(names):
        raise PreflightRefused(f"two databases of the file would become {address.database}")
    inventory = replace(
        dump.inventory,
        tables=[
            Table(t.database or address.database, t.name, t.rows) for t in dump.inventory.tables
        ],
    )
    return replace(dump, facts={**dump.facts, "databases": databases}, inventory=inventory)


def _with_defaults(session: Session, address: Address, database: facts.Facts) -> facts.Facts:
    name = str(database["name"] or address.database)
    if not name:
        raise PreflightRefused(
            "the file does not say which database it is of, and the addon's connection string"
            " names none to load it into"
        )
    charset, collation = database["charset"], database["collation"]
    if charset is None:  # those of the target's database, or those it would get
        rows = session.rows(_DATABASE_DEFAULTS, [name])
        charset, collation = str(rows[0][0]), str(rows[0][1])
    elif collation is None:
        rows = session.rows(_DEFAULT_COLLATION, [charset, charset])
        if not rows:
            raise PreflightRefused(f"the target does not know the character set {charset}")
        collation = str(rows[0][0])
    collations = sorted({*database["collations"], str(collation)})
    return {
        **database,
        "name": name,
        "charset": charset,
        "collation": collation,
        "collations": collations,
    }


_DATABASE_DEFAULTS = """
SELECT default_character_set_name, default_collation_name
  FROM information_schema.schemata WHERE schema_name = %s
UNION ALL SELECT @@character_set_server, @@collation_server
"""
_DEFAULT_COLLATION = """
SELECT default_collate_name FROM information_schema.character_sets
 WHERE character_set_name = %s OR (%s = 'utf8' AND character_set_name = 'utf8mb3')
"""
