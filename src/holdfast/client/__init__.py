"""A typed HTTP client of the v1 API, blocking and asyncio; the command line uses nothing else."""

from holdfast.client.api import AsyncClient, Client
from holdfast.client.logs import LogQuery
from holdfast.client.transport.errors import (
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
from holdfast.client.transport.transport import Link
from holdfast.client.transport.waiting import Patience

__all__ = [
    "ApiError",
    "AsyncClient",
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
