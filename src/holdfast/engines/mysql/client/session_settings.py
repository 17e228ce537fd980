"""Settings of our sessions, independent of the server's defaults.

All global settings that a session inherits were reviewed (SHOW VARIABLES of MariaDB 10.6 to 11.8
and of MySQL 8.0 to 9.7). Listed are those that change what a session sees, refuse what a server
holds, or end a long session. Loading settings are set one by one: versions know different ones,
and some need a privilege of their own.
"""

from collections.abc import Mapping

from holdfast.engines.mysql.client.connection import Session, WireError, error_number

_NOT_SETTABLE = (1193, 1231, 1232, 1238, 1227)
"""No such setting, no such value, read-only, no privilege."""

_ALL_SERVERS = (
    "SET SESSION sql_mode = '', time_zone = '+00:00', wait_timeout = 604800,"
    " net_read_timeout = 600, net_write_timeout = 600, lock_wait_timeout = 60,"
    " sql_quote_show_create = 1, group_concat_max_len = 1048576,"
    " sql_select_limit = 18446744073709551615, sql_big_selects = 1, sql_safe_updates = 0,"
    " sql_auto_is_null = 0, completion_type = 0, lc_messages = 'en_US'"
)
"""A select limit would shorten lists and rows; error messages are shown in one language."""

_MARIADB = (
    "SET SESSION max_statement_time = 0, idle_transaction_timeout = 0,"
    " idle_readonly_transaction_timeout = 0, idle_write_transaction_timeout = 0,"
    " tx_read_only = 0, sql_if_exists = 0"
)
_MYSQL = (
    "SET SESSION max_execution_time = 0, transaction_read_only = 0,"
    " information_schema_stats_expiry = 0"
)

_LOADING_SETTINGS: Mapping[str, str] = {
    "foreign_key_checks": "0",
    "unique_checks": "0",
    "check_constraint_checks": "0",  # rows may be older than their constraint
    "innodb_strict_mode": "0",  # too long rows, options of other formats
    "explicit_defaults_for_timestamp": "1",  # definitions are complete
    "old_mode": "'UTF8_IS_UTF8MB3'",
    "character_set_collations": "''",  # a character set alone means its default collation
    "sql_require_primary_key": "0",
    "sql_generate_invisible_primary_key": "0",
    "restrict_fk_on_non_standard_key": "0",
    "enforce_storage_engine": "NULL",
    "max_heap_table_size": "1099511627776",  # as large as MEMORY tables were
    "default_table_encryption": "0",
    "system_versioning_alter_history": "KEEP",
    "alter_algorithm": "'DEFAULT'",
}
"""Settings with which a server takes definitions and rows that another one accepted."""


def apply_base_settings(session: Session) -> None:
    """Lets the session see everything, and run for long."""
    session.execute(_ALL_SERVERS)
    session.execute(_MARIADB if "MariaDB" in session.banner else _MYSQL)


def apply_loading_settings(session: Session) -> None:
    """Lets the session load what another server accepted, under whatever settings."""
    known_settings = {str(row[0]).lower() for row in session.rows("SHOW SESSION VARIABLES")}
    for setting, value in _LOADING_SETTINGS.items():
        if setting in known_settings:
            try:
                session.execute(f"SET SESSION {setting} = {value}")
            except WireError as error:
                if error_number(error) not in _NOT_SETTABLE:
                    raise
