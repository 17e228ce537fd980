"""Translates PostgreSQL errors to failures of ours: unavailable for now, or refused.

A failed connect carries no SQLSTATE, only text. Messages of libpq itself are always English (we
never translate), so any text we do not recognise as libpq's came from the server: a refusal.
"""

from collections.abc import Generator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from holdfast.contracts.engine import Address
from holdfast.domain.errors import (
    AddonRefused,
    AddonUnavailable,
    EvidenceMissing,
    Failure,
    NotSupported,
)
from holdfast.engines.postgresql.client import locale_names
from holdfast.kit.processes.guard import Guard

_MAX_MESSAGE_CHARACTERS = 1000
_UNREACHABLE = (
    "Connection refused",
    "timeout expired",
    "could not translate host name",
    "No route to host",
    "Network is unreachable",
    "Connection timed out",
    "connection timeout expired",
    "No such file or directory",
    "failed to resolve host",
)
_NOT_READY = (
    "the database system is",  # starting up, shutting down, in recovery mode
    "too many clients",
    "too many connections",
    "remaining connection slots",
    "server closed the connection",
    "Connection reset by peer",
    "could not receive data",
    "could not send",
    "SSL SYSCALL error",
)


def connect_failure(error: psycopg.Error, address: Address, database: str) -> Failure:
    """The failure to raise for a connect that failed."""
    text = " ".join(str(error).split())
    endpoint = f"{address.host}:{address.port}"
    if "FATAL: " not in text and any(words in text for words in _UNREACHABLE):
        return AddonUnavailable(f"no server answers at {endpoint}: {_last(text)}", reason="host")
    if any(words in text for words in _NOT_READY):
        return AddonUnavailable(
            f"the server at {endpoint} is not ready: {_last(text)}", reason="busy"
        )
    if "unsupported startup parameter" in text:
        return pooler(endpoint)
    locale = locale_names.missing_locale(text)
    if "password" in text or "authentication failed" in text or "SCRAM" in text:
        message, reason = (
            f"the server at {endpoint} refused the password of user {address.user}",
            "password",
        )
    elif f'database "{database}" does not exist' in text:
        message, reason = f"the server at {endpoint} has no database {database}", "database"
    elif f'role "{address.user}" does not exist' in text:
        message, reason = f"the server at {endpoint} has no user {address.user}", "user"
    elif locale is not None:
        remedy = locale_names.install_hint(locale) or "restore a dump of it, with another locale"
        lacks = f"which the machine of the server at {endpoint} does not have; {remedy}"
        message, reason = f"database {database} needs the locale {locale}, {lacks}", "locale"
    elif "SSL" in text:
        message, reason = f"TLS with {endpoint} did not work: {_last(text)}", "tls"
    else:
        message, reason = (
            f"the server at {endpoint} refused user {address.user}: {_last(text)}",
            "refused",
        )
    return AddonRefused(message, reason=reason)


def pooler(endpoint: str) -> AddonRefused:
    return AddonRefused(
        f"a connection pooler answers at {endpoint}; dumps need the server itself, for snapshots"
        " and settings of a session do not last behind a pooler: give the address behind the pooler"
        " (PgBouncer's configuration names it in [databases]; usually port 5432)",
        reason="pooler",
    )


def _last(text: str) -> str:
    """What went wrong, without whom we asked and what to ask oneself: both are said already."""
    return _shortened(text.rsplit("failed: ", 1)[-1].split(" Is the server running", 1)[0])


def _shortened(text: str) -> str:
    """One line, cut at the end: hints come last, and are long."""
    words = " ".join(text.split())
    return (
        words if len(words) <= _MAX_MESSAGE_CHARACTERS else f"{words[:_MAX_MESSAGE_CHARACTERS]} ..."
    )


@contextmanager
def translated(guard: Guard | None = None) -> Generator[None]:
    """Translates errors of the statements in the block; raises the reason of a stop first."""
    try:
        yield
    except psycopg.Error as error:
        if guard is not None:
            guard.check()
        raise statement_failure(error) from error


_COPY_BROKE_OFF = (
    "has already been removed",  # WAL, when no slot was free to keep it
    "max_wal_senders",  # all in use; a copy needs two of them of them
)
_REPLICATION_OBSTACLES = {
    "WAL sender": "the user lacks the REPLICATION privilege (ALTER ROLE ... REPLICATION)",
    "replication role to start walsender": "the user lacks the REPLICATION privilege"
    " (ALTER ROLE ... REPLICATION)",
    "no pg_hba.conf entry for replication": "pg_hba.conf lets this user replicate from nowhere"
    " (it needs a line for the database `replication`)",
    "max_wal_senders (currently 0)": "max_wal_senders is 0; a copy needs two of them",
    'max_wal_senders" (currently 0)': "max_wal_senders is 0; a copy needs two of them",
    "WAL level not sufficient": "wal_level is minimal; it has to be replica or logical",
}
"""Messages of a server that gives no physical copy until its configuration changes."""


def replication_failure(text: str, endpoint: str) -> Failure:
    """The failure to raise for an error message of a walsender or of the connect to it."""
    words = _shortened(text)
    for phrase, missing in _REPLICATION_OBSTACLES.items():
        if phrase in words:
            return NotSupported(f"no snapshots of the server at {endpoint}: {missing}")
    if "checksum verification failure" in words:
        return EvidenceMissing(f"the server at {endpoint} found damaged pages: {_last(words)}")
    if any(phrase in words for phrase in (*_UNREACHABLE, *_NOT_READY, *_COPY_BROKE_OFF)):
        return AddonUnavailable(
            f"the copy from {endpoint} broke off: {_last(words)}", reason="copy"
        )
    return AddonRefused(f"the server at {endpoint} refused: {_last(words)}", reason="refused")


def statement_failure(error: psycopg.Error) -> Failure:
    """The failure to raise for a statement that failed."""
    words = _shortened(str(error))
    if isinstance(error, errors.InsufficientPrivilege):
        return AddonRefused(f"a privilege is missing: {words}", reason="privilege")
    if isinstance(error, errors.QueryCanceled | psycopg.InterfaceError):
        return AddonUnavailable(f"the server ended our session: {words}", reason="session")
    if isinstance(error, psycopg.OperationalError):
        return AddonUnavailable(f"the connection was lost: {words}", reason="session")
    return AddonRefused(f"the server refused a statement: {words}", reason="statement")
