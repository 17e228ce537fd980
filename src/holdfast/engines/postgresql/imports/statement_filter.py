"""Decides which statements of a stranger's script are run, for the survey of a file and its load
alike.

Left out are statements about more than the database that is loaded, and those that Holdfast decides
itself. The rest runs as a role without rights; so this is about what a file may hold without being
refused, and not about safety.
"""

import re
from collections.abc import Sequence

import psycopg
from psycopg import errors

NAME = r'(?:"((?:[^"]|"")+)"|([\w$\x80-\uffff]+))'
_ANY_NAME = r'(?:"(?:[^"]|"")+"|[\w$\x80-\uffff]+)'

_LEFT_OUT: Sequence[tuple[str, str]] = (
    (rf"ALTER .+ OWNER TO {_ANY_NAME}$", "owners: all belongs to the addon's user"),
    (r"(GRANT|REVOKE|ALTER DEFAULT PRIVILEGES)\b", "privileges"),
    (r"SECURITY LABEL\b", "security labels"),
    (r"SET (LOCAL |SESSION )?(SESSION AUTHORIZATION|ROLE)\b", "changes of the role"),
    (r"SET default_tablespace\b", "tablespaces"),
    (r"(CREATE|ALTER|DROP|COMMENT ON) DATABASE\b", "statements about the database itself"),
    (r"COMMENT ON (EXTENSION|LANGUAGE plpgsql)\b", "comments on extensions"),
    (r"COMMENT ON SCHEMA \"?public\b", "statements about the schema public"),
    (r"CREATE (OR REPLACE )?(TRUSTED )?(PROCEDURAL )?LANGUAGE \"?plpgsql\b", "languages"),
    (r"ALTER (ROLE|USER) .+ (SET|RESET)\b", "settings of roles"),
    (
        r"SELECT (\* FROM )?(pg_catalog\.)?pg_(restore|clear)_\w+_stats\b",
        "statistics of another server: they are collected anew",
    ),
)
_OF_CLUSTER: Sequence[tuple[str, str]] = (
    (
        r"(CREATE|ALTER|DROP|COMMENT ON) (ROLE|USER|GROUP)\b(?! MAPPING)",
        "roles: all belongs to the addon's user",
    ),
    (r"(CREATE|ALTER|DROP|COMMENT ON) TABLESPACE\b", "tablespaces"),
)
"""Left out of files of a whole server; in other files these statements are run, and refused."""

_NEEDS_SUPERUSER = re.compile(
    r"(?:CREATE|ALTER|COMMENT ON)(?: OR REPLACE)? (?:PUBLICATION|EVENT TRIGGER|SUBSCRIPTION"
    r"|FOREIGN DATA WRAPPER|SERVER|USER MAPPING)\b|IMPORT FOREIGN\b"
    r"|ALTER TABLE .+ (?:DISABLE|ENABLE) TRIGGER ALL$|SET (?:SESSION )?session_replication_role\b",
    re.IGNORECASE,
)
_SETTING = re.compile(r"SET\b|SELECT (?:pg_catalog\.)?set_config\(", re.IGNORECASE)
_ENCODES = re.compile(r"SET (?:SESSION )?(?:client_encoding|NAMES)\b", re.IGNORECASE)
_DROPS = re.compile(r"DROP\b|ALTER (?:FOREIGN )?TABLE .+ (?:DROP|DETACH)\b", re.IGNORECASE)
_OF_ROLE = re.compile(r"(?:CREATE|ALTER|COMMENT ON) (?:POLICY|USER MAPPING)\b", re.IGNORECASE)
_WITHOUT_DATA = re.compile(
    r"CREATE (?:OR REPLACE )?(?:(?:RECURSIVE |MATERIALIZED |UNIQUE |CONSTRAINT )?"
    r"(?:VIEW|INDEX|TRIGGER|RULE|FUNCTION|PROCEDURE|AGGREGATE|OPERATOR|CAST|POLICY|STATISTICS"
    r"|TEXT SEARCH|CONVERSION|TRANSFORM|FOREIGN TABLE|ACCESS METHOD))\b"
    r"|COMMENT ON\b|REFRESH MATERIALIZED VIEW\b"
    r"|ALTER TABLE .+ (?:ADD CONSTRAINT|VALIDATE CONSTRAINT|CLUSTER ON|REPLICA IDENTITY"
    r"|ENABLE ROW LEVEL SECURITY|FORCE ROW LEVEL SECURITY)\b"
    r"|ALTER (?:FUNCTION|PROCEDURE|AGGREGATE|VIEW|INDEX|TRIGGER|STATISTICS|OPERATOR)\b",
    re.IGNORECASE,
)
_CHANGES_NOTHING = re.compile(
    r"SET\b|RESET\b|SELECT\b|DROP\b|BEGIN\b|START\b|COMMIT\b|END$", re.IGNORECASE
)
_PUBLIC = r'(?:IF (?:NOT )?EXISTS )?"?public"?(?:;|$| )'
DROPS_PUBLIC = re.compile(rf"DROP SCHEMA {_PUBLIC}", re.IGNORECASE)
MAKES_PUBLIC = re.compile(rf"CREATE SCHEMA {_PUBLIC}", re.IGNORECASE)

_AUTHORIZATION = re.compile(
    rf"^(CREATE SCHEMA (?:IF NOT EXISTS )?)({_ANY_NAME} )?AUTHORIZATION ({_ANY_NAME})$",
    re.IGNORECASE,
)
_FREEZE = re.compile(
    rb"\(\s*FREEZE(?:\s+(?:true|on|1|false|off|0))?\s*\)|\bFREEZE\b(?:\s+(?:true|on|1|false|off|0)\b)?\s*,?",
    re.IGNORECASE,
)

_IS_NOT_THERE = (
    errors.UndefinedTable,
    errors.UndefinedObject,
    errors.UndefinedFunction,
    errors.UndefinedColumn,
    errors.InvalidSchemaName,
)
_NO_SUCH_SETTING = (
    errors.UndefinedObject,
    errors.InvalidParameterValue,
    errors.FeatureNotSupported,
    errors.CantChangeRuntimeParam,
)


def left_out_reason(head: str, *, cluster: bool) -> str | None:
    """The subject of a statement that is left out; None: it is run. `cluster`: of a whole
    server."""
    rules = (*_OF_CLUSTER, *_LEFT_OUT) if cluster else _LEFT_OUT
    return next((reason for rule, reason in rules if re.match(rule, head, re.IGNORECASE)), None)


def makes_something(head: str) -> bool:
    return _CHANGES_NOTHING.match(head) is None


def may_fail(head: str) -> bool:
    """May the load go on without this statement, for some errors?"""
    rules = (_SETTING, _DROPS, _NEEDS_SUPERUSER, _OF_ROLE, _WITHOUT_DATA)
    return any(rule.match(head) for rule in rules)


def tolerated_reason(head: str, error: psycopg.Error) -> str | None:
    """Describes what this error leaves out; None: the error ends the load."""
    missing = isinstance(error, _IS_NOT_THERE)
    refused = isinstance(error, errors.InsufficientPrivilege)
    if _SETTING.match(head) and not _ENCODES.match(head) and isinstance(error, _NO_SUCH_SETTING):
        return f"a setting this server does not know: {head[:60]}"
    if _NEEDS_SUPERUSER.match(head) and (refused or missing):
        return f"what needs a superuser: {head[:60]}"
    if _DROPS.match(head) and (missing or refused):
        return "statements that drop what is not there"
    if _OF_ROLE.match(head) and isinstance(error, errors.UndefinedObject):
        return f"what is for a role that is not there: {head[:60]}"
    return None


def skippable(head: str) -> bool:
    """Does it make an object without data of its own?"""
    return _WITHOUT_DATA.match(head) is not None


def without_authorization(text: bytes, head: str) -> bytes:
    """CREATE SCHEMA without its AUTHORIZATION: the schema belongs to the loader."""
    match = _AUTHORIZATION.match(head)
    if match is None:
        return text
    return f"{match[1]}{(match[2] or match[3]).strip()}".encode()


def without_freeze(copy: bytes) -> bytes:
    """COPY without FREEZE, which only a table of the same transaction allows."""
    before, word, options = copy.rpartition(b"stdin") if b"stdin" in copy else (copy, b"", b"")
    changed = _FREEZE.sub(b"", options)
    if changed == options:
        return copy
    bare = re.sub(rb"^\s*WITH\s*$", b"", changed, flags=re.IGNORECASE)
    return before + word + bare
