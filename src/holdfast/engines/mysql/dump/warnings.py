"""Warns, while a backup is made, of what will not restore elsewhere as it is."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from holdfast.contracts.engine import warning
from holdfast.engines.mysql.client import facts, object_names
from holdfast.engines.mysql.client.connection import Session, WireError, as_text
from holdfast.engines.mysql.client.facts import Facts
from holdfast.engines.mysql.client.tools import MARIADB
from holdfast.engines.mysql.dump import accounts

Warnings = Iterator[Mapping[str, str | None]]

_DEFINERS = """
SELECT table_schema, table_name, definer FROM information_schema.views
UNION ALL SELECT routine_schema, routine_name, definer FROM information_schema.routines
UNION ALL SELECT trigger_schema, trigger_name, definer FROM information_schema.triggers
UNION ALL SELECT event_schema, event_name, definer FROM information_schema.events
"""
_EXPIRED_EVENTS = """
SELECT event_schema, event_name FROM information_schema.events
 WHERE on_completion = 'NOT PRESERVE'
   AND coalesce(execute_at, ends)
       <= coalesce(convert_tz(utc_timestamp(), '+00:00', time_zone), utc_timestamp())
"""
_ENCRYPTED_TABLES = """
SELECT table_schema, table_name FROM information_schema.tables
 WHERE create_options RLIKE 'encrypt(ed|ion)`?=.?y'
"""
_GENERAL_TABLESPACES = """
SELECT substring_index(t.name, '/', 1), substring_index(t.name, '/', -1)
  FROM information_schema.innodb_tables t WHERE t.space_type = 'General'
   AND t.name NOT LIKE 'mysql/%'
"""
_READ_ONLY_DATABASES = """
SELECT schema_name, schema_name FROM information_schema.schemata_extensions
 WHERE options LIKE '%READ ONLY=1%'
"""
_COMMON_PLUGINS = (
    *("", "mysql_native_password", "mysql_old_password", "unix_socket", "auth_socket"),
    *("caching_sha2_password", "sha256_password"),
)
_MAX_NAMES = 5


def of_objects(session: Session, databases: Collection[str], server: Facts) -> Warnings:
    """Warnings about objects of these databases."""
    yield from _of_missing_definers(session, databases)
    for database, event in _rows(session, _EXPIRED_EVENTS):
        if database in databases:
            yield warning(
                database,
                event,
                "the time of this event is over: a server into which it is restored drops it",
            )
    for database, table in _rows(session, _ENCRYPTED_TABLES):
        if database in databases:
            yield warning(
                database,
                table,
                "this table is encrypted: a target needs a plugin that manages keys, else it is not"
                " encrypted there, or refused",
            )
    if server["flavour"] != MARIADB:
        for database, _ in _rows(session, _READ_ONLY_DATABASES):
            if database in databases:
                yield warning(
                    database, database, "this database is read-only; a restored one is not"
                )
        for database, table in _rows(session, _GENERAL_TABLESPACES):
            if database in databases:
                yield warning(
                    database,
                    table,
                    "this table is in a general tablespace; a restored one has a file of its own",
                )


def of_tables(tables: Sequence[tuple[str, Facts]], *, history: bool) -> Warnings:
    for database, table in tables:
        if table["engine"] in facts.NO_DATA:
            yield warning(
                database,
                table["name"],
                f"the rows of a table of engine {table['engine']} are elsewhere: its definition is"
                " backed up, they are not",
            )
        elif table["type"] == facts.VERSIONED and not history:
            yield warning(
                database,
                table["name"],
                "the history of this table is left out: that takes MariaDB 10.11 or newer, here and"
                " as the client",
            )


def of_references(recorded: Sequence[Facts]) -> Warnings:
    inside = {str(database["name"]) for database in recorded}
    for database in recorded:
        for other in sorted(set(database["references"]) - inside):
            yield warning(
                str(database["name"]),
                other,
                f"foreign keys refer to database {other}, which is not in this backup: it restores"
                " only together with it; back up all databases of the server",
            )


_DUAL_PASSWORDS = (
    "SELECT user, host FROM mysql.user WHERE user_attributes->'$.additional_password' IS NOT NULL"
)


def of_server(session: Session, server: Facts) -> Warnings:
    """Warnings about objects that belong to no database and are in no dump."""
    for function, library in _rows(session, "SELECT name, dl FROM mysql.func"):
        yield warning(
            None,
            function,
            f"this function is of the library {library}, which is not backed up: install it on the"
            f" target and run CREATE FUNCTION {function} ... SONAME '{library}'",
        )
    for remote, wrapper in _rows(session, "SELECT server_name, wrapper FROM mysql.servers"):
        yield warning(
            None,
            remote,
            f"this address of another server ({wrapper}) is not backed up: it may hold a password;"
            " run CREATE SERVER on the target",
        )
    for user, host in _rows(session, _DUAL_PASSWORDS):  # none on MariaDB, which knows no such
        yield warning(
            None,
            f"{user}@{host}",
            "the older of this account's two passwords is not backed up: after a restore only the"
            " newer one opens it",
        )
    for plugin, count in _rows(session, "SELECT plugin, count(*) FROM mysql.user GROUP BY plugin"):
        if plugin not in _COMMON_PLUGINS:
            yield warning(
                None,
                plugin,
                f"{count} accounts log in with this plugin, which {server['flavour']} does not have"
                " everywhere: install it on the target before a restore",
            )


def _of_missing_definers(session: Session, databases: Collection[str]) -> Warnings:
    if not accounts.readable(session):
        return
    present = {
        (as_text(a), as_text(b)) for a, b in session.rows("SELECT user, host FROM mysql.user")
    }
    owned: dict[str, list[tuple[str, str]]] = {}
    for database, object_name, definer in session.rows(_DEFINERS):
        user, _, host = str(definer).rpartition("@")
        if database in databases and not {(user, host), (user, "")} & present:
            owned.setdefault(str(definer), []).append((str(database), str(object_name)))
    for definer, objects in owned.items():
        listed = ", ".join(
            f"{database}.{object_name}" for database, object_name in objects[:_MAX_NAMES]
        )
        more = f" and {len(objects) - _MAX_NAMES} more" if len(objects) > _MAX_NAMES else ""
        yield warning(
            objects[0][0],
            definer,
            f"this account is gone, and {listed}{more} belong to it: where they run with its rights"
            " they fail when they are used, here and on a target; make the account, or give them"
            " another definer",
        )


def of_odd_name(database: str, *, has_tables: bool) -> Mapping[str, str | None]:
    plain = object_names.plain_name(database)
    if has_tables:
        text = (
            f"the directory of this database has a name of a time before MySQL 5.1: it restores as"
            f" {plain}; to give it that name here, run ALTER DATABASE `{database}` UPGRADE DATA"
            " DIRECTORY NAME"
        )
    else:
        text = (
            f"the directory {plain} among the data of the server holds no tables: it is no database"
            " and left out"
        )
    return warning(database, plain, text)


def _rows(session: Session, query: str) -> list[tuple[str, str]]:
    """The rows as text; none where this user may not read."""
    try:
        return [(as_text(row[0]), as_text(row[1])) for row in session.rows(query)]
    except WireError:
        return []
