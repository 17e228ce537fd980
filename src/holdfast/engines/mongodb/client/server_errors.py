"""Translates errors of a server and of pymongo to our failures."""

from collections.abc import Generator
from contextlib import contextmanager

from pymongo.errors import ConfigurationError, ConnectionFailure, OperationFailure, PyMongoError

from holdfast.contracts.engine import Address
from holdfast.domain.errors import AddonRefused, AddonUnavailable, Failure
from holdfast.kit.processes.guard import Guard

WRONG_LOGIN, UNAUTHORIZED, NOT_FOUND = 18, 13, 26
_NEEDS_LOGIN = 723
_TEMPORARY = (
    *(6, 7, 89, 91, 189, 262, 317, 358, 384, 9001, 10107, 11600, 11602, 13435, 13436),
    *(50, 11601, 46, 112),  # too slow, interrupted, a lock, a conflict of writes
    *(43, 64, 237),  # a cursor of a primary that no longer is one, or killed; a majority that lags
)
"""Of a server that starts, ends, steps down or is too busy: see MongoDB's error_codes.yml."""
_TLS_WORDS = ("SSL", "TLS", "certificate")
_MAX_CHARACTERS = 500


def error_code(error: BaseException) -> int:
    """The server's number of an error; 0 when there is none."""
    return (error.code or 0) if isinstance(error, OperationFailure) else 0


def error_text(error: BaseException) -> str:
    """The message of an error in one line, without the server's whole reply."""
    text = str(error).partition(", full error: ")[0].partition(", Timeout: ")[0]
    return " ".join(text.split())[:_MAX_CHARACTERS]


@contextmanager
def translated(address: Address, guard: Guard | None = None) -> Generator[None]:
    """Turns errors of commands into failures; the reason of a stopped guard comes first."""
    try:
        yield
    except (PyMongoError, OSError) as error:
        if guard is not None:
            guard.check()
        raise failure(error, address) from error


def failure(error: BaseException, address: Address) -> Failure:
    """The failure to raise for a command, or a connection, that did not work."""
    endpoint, words, code = f"{address.host}:{address.port}", error_text(error), error_code(error)
    if code == WRONG_LOGIN:
        text = f"the server at {endpoint} refused the password of user {address.user}"
        return AddonRefused(text, reason="password")
    if code in (UNAUTHORIZED, _NEEDS_LOGIN):
        text = f"user {address.user or '(none)'} at {endpoint} lacks a privilege: {words}"
        return AddonRefused(text, reason="privilege")
    if code in _TEMPORARY:
        return AddonUnavailable(f"the server at {endpoint} cannot answer now: {words}")
    if not code and any(word in words for word in _TLS_WORDS):
        return AddonRefused(f"TLS with {endpoint} did not work: {words}", reason="tls")
    if isinstance(error, ConnectionFailure | ConfigurationError | OSError):
        return AddonUnavailable(f"no answer from {endpoint}: {words}", reason="host")
    text = f"the server at {endpoint} refused a command: {words}{f' ({code})' if code else ''}"
    return AddonRefused(text, reason="command")
