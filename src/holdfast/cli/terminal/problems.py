"""Failures of the command line itself, and the exit status of every failure."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager

from holdfast.client import (
    ApiError,
    Conflict,
    Invalid,
    NotFound,
    PermissionDenied,
    RateLimited,
    ServerFault,
    TimedOut,
    Unauthenticated,
    Unreachable,
)
from holdfast.client.transport.errors import Answer
from holdfast.domain.errors import Failure


class OperationFailed(Failure):
    """The operation ended, but not well."""

    code = "cli.operation-failed"


class NotLoggedIn(Failure):
    """No server is known: run `holdfast login --host URL`, or set HOLDFAST_HOST."""

    code = "cli.not-logged-in"


class ConfigBroken(Failure):
    """The file of contexts cannot be read."""

    code = "cli.config-broken"


UNEXPECTED = 1
INTERRUPTED = 130

STATUS: Mapping[type[Failure], int] = {
    Unreachable: 3,
    Unauthenticated: 4,
    NotLoggedIn: 4,
    PermissionDenied: 5,
    NotFound: 6,
    Invalid: 7,
    Conflict: 8,
    RateLimited: 9,
    ServerFault: 10,
    OperationFailed: 11,
    TimedOut: 12,
}

MEANING: Mapping[int, str] = {
    0: "done",
    UNEXPECTED: "something unexpected",
    2: "wrong usage of the command",
    3: "the server cannot be reached",
    4: "not logged in, or the token is not valid",
    5: "the token lacks a permission",
    6: "no such thing",
    7: "the request is not valid",
    8: "the current state does not allow it",
    9: "too many requests",
    10: "the server failed",
    11: "the operation ended failed, aborted or not-supported",
    12: "the wait took longer than --timeout",
    INTERRUPTED: "interrupted",
}


@contextmanager
def naming(**options: str) -> Generator[None]:
    """Renames fields in an error's details to the options that set them."""
    try:
        yield
    except (Conflict, Invalid) as error:
        details: dict[str, object] = {}
        for field, problem in error.details.items():
            root = field.partition(".")[0].partition("[")[0]
            details[options.get(root, field)] = problem
        raise type(error)(Answer(error.status, error.message, error.id, details)) from error


def status_of(failure: Failure) -> int:
    return STATUS.get(type(failure), UNEXPECTED)


def sentence(failure: Failure) -> str:
    """Words a failure for people: the message, its id, and one line per detail."""
    if not isinstance(failure, ApiError):
        return failure.message
    reference = f" (error id {failure.id})" if failure.id else ""
    details = [f"  {field}: {problem}" for field, problem in failure.details.items()]
    return "\n".join([f"{failure.message}{reference}", *details])
