"""What a PostgreSQL error means to us: unavailable now, or refused until somebody acts.

A failed connect carries no SQLSTATE, only text. What libpq says itself is always English (we
never translate), so anything we do not recognise as libpq's came from the server: a refusal.
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

_LONGEST = 1000
_NOBODY = (
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
_NOT_NOW = (
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


def of_connecting(error: psycopg.Error, address: Address, database: str) -> Failure:
    """The failure to raise for a connect that did not work."""
    text = " ".join(str(error).split())
    endpoint = f"{address.host}:{address.port}"
    if "FATAL: " not in text and any(words in text for words in _NOBODY):
        return AddonUnavailable(f"nobody answers at {endpoint}: {_last(text)}", reason="host")
    if any(words in text for words in _NOT_NOW):
        return AddonUnavailable(
            f"the server at {endpoint} is not ready: {_last(text)}", reason="busy"
        )
    return _refusal(text, endpoint, address.user, database)


def _refusal(text: str, endpoint: str, user: str, database: str) -> AddonRefused:
    if "unsupported startup parameter" in text:
        return pooler(endpoint)
    locale = locale_names.missing(text)
    if "password" in text or "authentication failed" in text or "SCRAM" in text:
        message, reason = (
            f"the server at {endpoint} refused the password of user {user}",
            "password",
        )
    elif f'database "{database}" does not exist' in text:
        message, reason = f"the server at {endpoint} has no database {database}", "database"
    elif f'role "{user}" does not exist' in text:
        message, reason = f"the server at {endpoint} has no user {user}", "user"
    elif locale is not None:
        remedy = locale_names.generation(locale) or "restore a dump of it, with another locale"
        lacks = f"which the machine of the server at {endpoint} does not have; {remedy}"
        message, reason = f"database {database} needs the locale {locale}, {lacks}", "locale"
    elif "SSL" in text:
        message, reason = f"TLS with {endpoint} did not work: {_last(text)}", "tls"
    else:
        message, reason = f"the server at {endpoint} refused user {user}: {_last(text)}", "refused"
    return AddonRefused(message, reason=reason)


def pooler(endpoint: str) -> AddonRefused:
    return AddonRefused(
        f"a connection pooler answers at {endpoint}; dumps need the server itself, for snapshots"
        " and settings of a session do not last behind a pooler: give the address behind the pooler"
        " (PgBouncer's configuration names it in [databases]; usually port 5432)",
        reason="pooler",
    )


def _last(text: str) -> str:
    return _shortened(text.split("failed: ", 1)[-1])


def _shortened(text: str) -> str:
    """Hints come last, and are long."""
    words = " ".join(text.split())
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]} ..."


@contextmanager
def translated(guard: Guard | None = None) -> Generator[None]:
    """Around statements: a stop's own reason first, then a failure a person understands."""
    try:
        yield
    except psycopg.Error as error:
        if guard is not None:
            guard.check()
        raise of_statement(error) from error


_LATER = (
    "has already been removed",  # WAL, as no slot was free to keep it
    "max_wal_senders",  # all in use; a copy needs two
)
_CANNOT = {
    "WAL sender": "the user lacks the REPLICATION privilege (ALTER ROLE ... REPLICATION)",
    "replication role to start walsender": "the user lacks the REPLICATION privilege"
    " (ALTER ROLE ... REPLICATION)",
    "no pg_hba.conf entry for replication": "pg_hba.conf lets this user replicate from nowhere"
    " (it needs a line for the database `replication`)",
    "max_wal_senders (currently 0)": "max_wal_senders is 0; a copy needs two of them",
    'max_wal_senders" (currently 0)': "max_wal_senders is 0; a copy needs two of them",
    "WAL level not sufficient": "wal_level is minimal; it has to be replica or logical",
}
"""What keeps a server from giving a physical copy, until somebody changes it."""


def of_replication(text: str, endpoint: str) -> Failure:
    """The failure to raise for what a walsender, or the way to it, said."""
    words = _shortened(text)
    for phrase, missing in _CANNOT.items():
        if phrase in words:
            return NotSupported(f"no snapshots of the server at {endpoint}: {missing}")
    if "checksum verification failure" in words:
        return EvidenceMissing(f"the server at {endpoint} found damaged pages: {_last(words)}")
    if any(phrase in words for phrase in (*_NOBODY, *_NOT_NOW, *_LATER)):
        return AddonUnavailable(
            f"the copy from {endpoint} broke off: {_last(words)}", reason="copy"
        )
    return AddonRefused(f"the server at {endpoint} refused: {_last(words)}", reason="refused")


def of_statement(error: psycopg.Error) -> Failure:
    """The failure to raise for a statement that did not work."""
    words = _shortened(str(error))
    if isinstance(error, errors.InsufficientPrivilege):
        return AddonRefused(f"a privilege is missing: {words}", reason="privilege")
    if isinstance(error, errors.QueryCanceled | psycopg.InterfaceError):
        return AddonUnavailable(f"the server ended our session: {words}", reason="session")
    if isinstance(error, psycopg.OperationalError):
        return AddonUnavailable(f"the connection was lost: {words}", reason="session")
    return AddonRefused(f"the server refused a statement: {words}", reason="statement")
