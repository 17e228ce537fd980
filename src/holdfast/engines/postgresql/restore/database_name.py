"""Makes `current_database()` return the final name of a database while it is loaded.

A staged database bears a name of ours until the swap. Some code asks for the name of its database:
pg_cron may only be made in the one that the server's configuration names, and a user's check may
ask, too. Functions belong to the catalogue of one database, so other databases do not see this; the
planner inlines the body of an SQL function, also of one that replaces a built-in.
"""

from collections.abc import Mapping
from typing import LiteralString

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from holdfast.domain.errors import RestoreDiffers
from holdfast.engines.postgresql.client.address import Session
from holdfast.engines.postgresql.restore.layout import Placement

_DISGUISED = (
    "CREATE OR REPLACE FUNCTION pg_catalog.current_database() RETURNS name LANGUAGE sql"
    " STABLE STRICT PARALLEL SAFE AS {}"
)
_BUILT_IN = (
    "CREATE OR REPLACE FUNCTION pg_catalog.current_database() RETURNS name LANGUAGE internal"
    " STABLE STRICT PARALLEL SAFE AS 'current_database'"
)
_IS_BUILT_IN = (
    "SELECT l.lanname = 'internal' FROM pg_catalog.pg_proc p"
    " JOIN pg_catalog.pg_language l ON l.oid = p.prolang"
    " WHERE p.oid = 'pg_catalog.current_database()'::regprocedure"
)


_EVENT_TRIGGERS = (
    "SELECT evtname::text, evtenabled::text FROM pg_catalog.pg_event_trigger"
    " WHERE evtenabled <> 'D'"
)
_ENABLED: Mapping[str, LiteralString] = {
    "O": "ENABLE",
    "A": "ENABLE ALWAYS",
    "R": "ENABLE REPLICA",
}


def disguise(session: Session, placement: Placement) -> None:
    """Replaces `current_database()`, if the user may: functions of the server belong to a
    superuser."""
    body = SQL("SELECT {}::name").format(Literal(placement.name)).as_string(session)
    try:
        session.execute(SQL(_DISGUISED).format(Literal(body)))
    except psycopg.errors.InsufficientPrivilege:
        return


def undisguise(session: Session) -> None:
    """Puts `current_database()` back. Repeatable.

    Otherwise the database would report a wrong name after a rename. By now the user's event
    triggers are there; they do not fire on changes of event triggers, so they are disabled
    meanwhile.
    """
    if _is_built_in(session):
        return
    with session.transaction():
        triggers = session.execute(_EVENT_TRIGGERS).fetchall()
        for name, _ in triggers:
            session.execute(SQL("ALTER EVENT TRIGGER {} DISABLE").format(Identifier(name)))
        session.execute(_BUILT_IN)
        for name, mode in triggers:
            again = SQL("ALTER EVENT TRIGGER {} " + _ENABLED[mode])
            session.execute(again.format(Identifier(name)))
    if not _is_built_in(session):
        raise RestoreDiffers(f"{session.info.dbname} does not get its own name back")


def _is_built_in(session: Session) -> bool:
    row = session.execute(_IS_BUILT_IN).fetchone()
    return row is not None and bool(row[0])
