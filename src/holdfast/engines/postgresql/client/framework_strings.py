"""Translates connection strings of frameworks to libpq's syntax.

Prisma, SQLAlchemy, JDBC, Django and others add a driver to the scheme and options of their own
to the query. Options about their pools and caches are left out; options that change where a
connection goes, or how it is secured, are translated or refused by name.
"""

import logging
import re
from collections.abc import Mapping
from urllib.parse import quote, unquote, unquote_plus

log = logging.getLogger(__name__)

_SCHEME = re.compile(
    r"^(?:jdbc:)?(?:postgres|postgresql|postgis|pgsql)(?:\+\w+)?://", re.IGNORECASE
)

_IGNORED_OPTIONS = frozenset(
    name.lower()
    for name in (
        # Prisma
        *("schema", "pgbouncer", "connection_limit", "pool_timeout", "socket_timeout"),
        *("statement_cache_size", "single_use_connections", "max_connection_lifetime"),
        *("max_idle_connection_lifetime", "relationMode"),
        # JDBC
        *("currentSchema", "ApplicationName", "reWriteBatchedInserts", "stringtype"),
        *("prepareThreshold", "preparedStatementCacheQueries", "defaultRowFetchSize"),
        *("loginTimeout", "socketTimeout", "connectTimeout", "tcpKeepAlive", "loggerLevel"),
        *("preferQueryMode", "binaryTransfer", "assumeMinServerVersion", "readOnly"),
        # SQLAlchemy, asyncpg, Django, Rails, Sequelize, Go, Doctrine and others
        *("pool_size", "max_overflow", "pool_recycle", "pool_pre_ping", "pool", "poolSize"),
        *("prepared_statement_cache_size", "prepared_statements", "command_timeout"),
        *("server_settings", "conn_max_age", "reaping_frequency", "checkout_timeout"),
        *("encoding", "charset", "client_encoding", "serverVersion", "timezone", "search_path"),
        *("application_name", "fallback_application_name", "statement_timeout", "lock_timeout"),
        *("idle_in_transaction_session_timeout", "pool_max_conns", "pool_min_conns"),
        *("pool_max_conn_lifetime", "pool_max_conn_idle_time", "default_query_exec_mode"),
        *("binary_parameters", "keepalives", "keepalives_idle", "keepalives_interval"),
        *("keepalives_count", "tcp_user_timeout", "uselibpqcompat", "supa"),
    )
)
_RENAMED_OPTIONS: Mapping[str, str] = {"username": "user", "databasename": "dbname"}
_SSL_MODES: Mapping[tuple[str, str], str] = {
    **{("ssl", word): "require" for word in ("true", "1", "require")},
    **{("ssl", word): "disable" for word in ("false", "0", "disable")},
    ("sslaccept", "strict"): "verify-full",
    ("sslaccept", "accept_invalid_certs"): "require",
    ("sslmode", "no-verify"): "require",
}
"""Other spellings of `sslmode`. The strictest mode in a string counts."""
_MODES_BY_STRICTNESS = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_SETTINGS_ALONE = re.compile(r"(?:\s*(?:-c\s*|--)[\w.]+=(?:\\.|[^\s\\])*)+\s*")
"""`options` that only change settings of the session: ignored, our sessions set their own."""


def to_libpq(connection_string: str) -> str | None:
    """The same address in libpq's syntax; None when it is no PostgreSQL address at all."""
    scheme = _SCHEME.match(connection_string)
    if scheme is None:
        return None
    rest, mark, query = connection_string[scheme.end() :].partition("?")
    if not mark:
        return f"postgresql://{rest}"
    parameters: dict[str, str] = {}
    ignored: list[str] = []
    modes: list[str] = []
    decoded = unquote_plus if scheme[0].lower().startswith("jdbc:") else unquote
    for part in filter(None, query.split("&")):
        name, _, value = (decoded(word) for word in part.partition("="))
        mode = _SSL_MODES.get((name.lower(), value.lower()))
        if mode is not None or (name == "sslmode" and value in _MODES_BY_STRICTNESS):
            modes.append(mode or value)
        elif name.lower() in _IGNORED_OPTIONS or (
            name == "options" and _SETTINGS_ALONE.fullmatch(value)
        ):
            ignored.append(name)
        else:
            parameters[_RENAMED_OPTIONS.get(name.lower(), name)] = value
    if modes:
        parameters["sslmode"] = max(modes, key=_MODES_BY_STRICTNESS.index)
    if ignored:
        log.info("options of a connection string mean nothing here", extra={"options": ignored})
    translated = "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in parameters.items()
    )
    return f"postgresql://{rest}{f'?{translated}' if translated else ''}"
