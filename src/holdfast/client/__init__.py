"""Typed HTTP client of the v1 API: all that the command line knows of the server."""

from holdfast.client.api import Client
from holdfast.client.errors import (
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
from holdfast.client.logs import LogQuery
from holdfast.client.transport import Link
from holdfast.client.waiting import Patience

__all__ = [
    "ApiError",
    "Client",
    "Conflict",
    "Invalid",
    "Link",
    "LogQuery",
    "NotFound",
    "Patience",
    "PermissionDenied",
    "RateLimited",
    "ServerFault",
    "TimedOut",
    "Unauthenticated",
    "Unreachable",
]
