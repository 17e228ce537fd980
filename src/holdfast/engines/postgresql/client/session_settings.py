"""Settings of our sessions, and of the tools we start, whatever the server's owner has set.

A server, a role, a database, or a role in a database may set any of them; the options at the start
of a session override all of these. Settings that change how values are read or written, that end a
long session, or that keep it from writing are fixed here; settings that only make it slower or
faster stay the owner's choice.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from holdfast.contracts.engine import Address

_COMMON: Mapping[str, str] = {
    # Nothing ends a session of hours: pg_dumpall resets none of these.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "exit_on_error": "off",  # we go on after errors that we expect
    # Sessions may write, and see what others commit.
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    "default_transaction_isolation": "read committed",
    # A table filtered by row security is an error, not silently half a table.
    "row_security": "off",
    # Values and names mean what they mean by default. pg_dumpall writes VALID UNTIL in the date
    # style of its session, and an array's NULL is read as a word when array_nulls is off.
    "standard_conforming_strings": "on",
    "backslash_quote": "safe_encoding",
    "array_nulls": "on",
    "transform_null_equals": "off",
    "quote_all_identifiers": "off",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    # Objects go where the archive says; without the tablespace there, to the default.
    "default_tablespace": "",
    "default_table_access_method": "heap",
}
_OWN_SESSIONS: Mapping[str, str] = {"search_path": "pg_catalog", "timezone": "UTC"}
_SUPERUSER: Mapping[str, str] = {
    "role": "none",  # a role or database may set one with fewer rights
    "lc_messages": "C",
    "temp_file_limit": "-1",
}


@dataclass(frozen=True)
class SettingRights:
    """The settings that some users may set on a server.

    A server that refuses them names `key` in its message.
    """

    key: str
    settings: Mapping[str, str]

    def is_refused(self, complaint: str) -> bool:
        """Messages may be in any language; a setting's name is in none."""
        return bool(self.key) and self.key in complaint


SETTING_RIGHTS = (
    SettingRights(
        "event_triggers",
        {"event_triggers": "off", "transaction_timeout": "0", **_SUPERUSER},
    ),
    SettingRights("transaction_timeout", {"transaction_timeout": "0"}),
    # Before 17 this silences all event triggers but those that are enabled ALWAYS.
    SettingRights(
        "session_replication_role",
        {"session_replication_role": "replica", **_SUPERUSER},
    ),
    SettingRights("", {}),
)
"""Of superusers and of others, since version 17 and before. An unknown or forbidden setting makes
the connect fail, so they are tried in this order."""

_rights_by_login: dict[tuple[str, int, str], SettingRights] = {}


def candidates(address: Address) -> Iterator[SettingRights]:
    """The rights to try, first those that worked for this login the last time."""
    remembered = _rights_by_login.get(_key(address))
    if remembered is not None:
        yield remembered
    yield from (rights for rights in SETTING_RIGHTS if rights is not remembered)


def remember(address: Address, rights: SettingRights) -> None:
    _rights_by_login[_key(address)] = rights


def _key(address: Address) -> tuple[str, int, str]:
    return address.host, address.port, address.user


def session_options(rights: SettingRights) -> str:
    """The `options` of a session of our own."""
    return _options({**rights.settings, **_COMMON, **_OWN_SESSIONS})


def tool_options(address: Address, settings: Mapping[str, str]) -> str:
    """The PGOPTIONS of a tool. A session that was open before has found what its user may set."""
    rights = _rights_by_login.get(_key(address), SETTING_RIGHTS[-1])
    return _options({**rights.settings, **_COMMON, **settings})


def _options(settings: Mapping[str, str]) -> str:
    words: list[str] = []
    for name, value in settings.items():
        escaped = value.replace("\\", "\\\\").replace(" ", "\\ ")
        words.append(f"-c {name}={escaped}")
    return " ".join(words)
