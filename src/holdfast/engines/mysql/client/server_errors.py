"""Translates errors of a server: unavailable for now, or refused until its owner acts."""

from collections.abc import Generator
from contextlib import contextmanager

from holdfast.contracts.engine import Address
from holdfast.domain.errors import AddonRefused, AddonUnavailable, Failure
from holdfast.engines.mysql.client.connection import WireError, error_number
from holdfast.kit.processes.guard import Guard

_NO_ANSWER = (2002, 2003, 2005)
_TEMPORARY = (1040, 1053, 1129, 1203, 1205, 1226, 2006, 2013, 2014, 2055)
_WRONG_PASSWORD = (1045, 1698, 1862)
PRIVILEGE = (1044, 1142, 1143, 1227, 1370, 3530, 4056)
_LOCK_TIMEOUT = 1205
LOST = (2006, 2013, 2055, 0)
"""Numbers that mean that the connection is gone, whatever the statement."""


def connect_failure(error: Exception, address: Address) -> Failure:
    """The failure to raise for a connect that did not work."""
    number, words = error_number(error), error_text(error)
    endpoint = f"{address.host}:{address.port}"
    if number in _NO_ANSWER and "SSL" not in words:
        return AddonUnavailable(f"no server answers at {endpoint}: {words}", reason="host")
    if number in _WRONG_PASSWORD:
        return AddonRefused(
            f"the server at {endpoint} refused the password of user {address.user}",
            reason="password",
        )
    if number in (1044, 1049):
        return AddonRefused(
            f"the server at {endpoint} has no database {address.database} for user {address.user}",
            reason="database",
        )
    if "SSL" in words or "TLS" in words or "certificate" in words:
        return AddonRefused(f"TLS with {endpoint} did not work: {words}", reason="tls")
    if number in _TEMPORARY or number == 0:
        return AddonUnavailable(f"the server at {endpoint} is not ready: {words}", reason="busy")
    return AddonRefused(
        f"the server at {endpoint} refused user {address.user}: {words}", reason="refused"
    )


def error_text(error: BaseException) -> str:
    """The message of an error without its number, in one line."""
    text = str(error.args[1]) if len(error.args) > 1 else str(error)
    return " ".join(text.split())[:500]


@contextmanager
def translated(guard: Guard | None = None) -> Generator[None]:
    """Turns errors of statements into failures; the reason of a stopped guard comes first."""
    try:
        yield
    except (WireError, OSError) as error:
        if guard is not None:
            guard.check()
        raise statement_failure(error) from error


def statement_failure(error: BaseException) -> Failure:
    """The failure to raise for a statement that did not work."""
    number, words = error_number(error), error_text(error)
    if number in PRIVILEGE:
        return AddonRefused(f"a privilege is missing: {words}", reason="privilege")
    if number == _LOCK_TIMEOUT:
        return AddonUnavailable(f"a lock was not given in time: {words}", reason="lock")
    if number in (*_NO_ANSWER, *_TEMPORARY) or isinstance(error, OSError) or number == 0:
        return AddonUnavailable(f"the connection was lost: {words}", reason="session")
    return AddonRefused(f"the server refused a statement: {words} ({number})", reason="statement")
