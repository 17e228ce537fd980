"""Settings that sessions of ours and of the tools we start have, whatever others say.

A server, a role, a database, or a role in a database may carry any of them, and what a session
says at its start comes before all of these. What changes how values are read or written, what ends
a long session, and what keeps it from writing is decided here; what only makes it slower or faster
stays the owner's choice.
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
    "exit_on_error": "off",  # we go on after an error that we expect
    # Everything can be written, as a single session would see it.
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    "default_transaction_isolation": "read committed",
    # A filtered table is an error, where a silent half of it would be a lie.
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
    # Objects go where the archive says. It says nothing where the tablespaces are not there.
    "default_tablespace": "",
    "default_table_access_method": "heap",
}
_OURS: Mapping[str, str] = {"search_path": "pg_catalog", "timezone": "UTC"}
_SUPERUSER: Mapping[str, str] = {
    "role": "none",  # a role or database may carry one that can do less
    "lc_messages": "C",
    "temp_file_limit": "-1",
}


@dataclass(frozen=True)
class Power:
    """What a user may set on a server. `key` is named by one that refuses the rest."""

    key: str
    settings: Mapping[str, str]

    def is_refused(self, complaint: str) -> bool:
        """Messages may be in any language; a setting's name is in none."""
        return bool(self.key) and self.key in complaint


POWERS = (
    Power(
        "event_triggers",
        {"event_triggers": "off", "transaction_timeout": "0", **_SUPERUSER},
    ),
    Power("transaction_timeout", {"transaction_timeout": "0"}),
    # Before 17 this silences all event triggers but those that are enabled ALWAYS.
    Power(
        "session_replication_role",
        {"session_replication_role": "replica", **_SUPERUSER},
    ),
    Power("", {}),
)
"""Of a superuser and of others, since version 17 and before. An unknown or forbidden setting ends
a session before it begins, so they are tried in this order."""

_known: dict[tuple[str, int, str], Power] = {}


def candidates(address: Address) -> Iterator[Power]:
    """Those to try: what was right the last time comes first."""
    remembered = _known.get(_key(address))
    if remembered is not None:
        yield remembered
    yield from (rights for rights in POWERS if rights is not remembered)


def remember(address: Address, rights: Power) -> None:
    _known[_key(address)] = rights


def _key(address: Address) -> tuple[str, int, str]:
    return address.host, address.port, address.user


def of_session(rights: Power) -> str:
    """The `options` of a session of our own."""
    return _options({**rights.settings, **_COMMON, **_OURS})


def of_tool(address: Address, more: Mapping[str, str]) -> str:
    """PGOPTIONS of a tool. What its user may set is known from a session that was open before."""
    rights = _known.get(_key(address), POWERS[-1])
    return _options({**rights.settings, **_COMMON, **more})


def _options(settings: Mapping[str, str]) -> str:
    return " ".join(f"-c {name}={_escaped(value)}" for name, value in settings.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
