"""The errors of the client, a class for each way in which a caller may react."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.domain.errors import Failure


@dataclass(frozen=True)
class Answer:
    """The error part of an answer. `status` is 0 when there was no answer at all."""

    status: int
    message: str
    id: str | None = None
    details: Mapping[str, object] = field(default_factory=dict[str, object])
    retry_after: float | None = None


class ApiError(Failure):
    """The server refused the request or could not answer it."""

    code = "api"

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.message)
        self.status = answer.status
        self.id = answer.id
        self.details = answer.details
        self.retry_after = answer.retry_after


class Unreachable(ApiError):
    """No server answered at that address."""

    code = "api.unreachable"


class Unauthenticated(ApiError):
    """The server does not know this token, or it has expired or was revoked."""

    code = "api.unauthenticated"


class PermissionDenied(ApiError):
    """The token's role lacks a permission."""

    code = "api.permission"


class NotFound(ApiError):
    """There is no such thing, or this token may not see it."""

    code = "api.not-found"


class Invalid(ApiError):
    """The server did not accept the request as valid."""

    code = "api.invalid"


class Conflict(ApiError):
    """The current state does not allow this."""

    code = "api.conflict"


class RateLimited(ApiError):
    """Too many requests; `retry_after` says how many seconds to wait, if the server said so."""

    code = "api.rate-limited"


class ServerFault(ApiError):
    """The server failed, or what answered does not speak this API."""

    code = "api.server"


class TimedOut(Failure):
    """The wait ended before the operation, which goes on."""

    code = "api.timed-out"


_BY_STATUS: Mapping[int, type[ApiError]] = {
    401: Unauthenticated,
    403: PermissionDenied,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
}


def error_for(answer: Answer) -> ApiError:
    """Returns the error for a status: other 4xx are Invalid, all else is the server's fault."""
    fallback = Invalid if 400 <= answer.status < 500 else ServerFault
    return _BY_STATUS.get(answer.status, fallback)(answer)


def local_refusal(message: str) -> Invalid:
    """Returns the error for a request that is not even sent."""
    return Invalid(Answer(0, message))
