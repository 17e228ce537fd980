"""Turns a bearer token into a caller, and checks the permission that a route needs.

The dashboard calls the API inside this process, with the caller of a session in the scope
(`CALLER`). No client can set that: a scope is made by the server, from a connection.
"""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, cast

from fastapi import Depends, Request

from holdfast.domain.access import Caller, Permission
from holdfast.domain.errors import Forbidden, Unauthenticated
from holdfast.http.limits.rates import AUTHENTICATED, CALLER
from holdfast.http.state import State
from holdfast.kit.seal import Secret


async def authenticate(request: Request, api: State) -> Caller:
    if CALLER in request.scope:
        return cast("Caller", request.scope[CALLER])
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not value.strip():
        raise Unauthenticated("an API token is required: Authorization: Bearer <token>")
    caller = await api.callers.of(Secret(value.strip()))
    request.scope["state"][AUTHENTICATED] = True
    return caller


Known = Annotated[Caller, Depends(authenticate)]


def check(caller: Caller, permission: Permission) -> None:
    if not caller.may(permission):
        raise Forbidden(f"the token lacks the permission {permission!s}")


def require_all_projects(caller: Caller) -> None:
    """Raises Forbidden for a token that is restricted to some projects."""
    if caller.projects is not None:
        raise Forbidden("the token is restricted to some projects; this needs one that is not")


def requires(permission: Permission) -> Callable[[Caller], Coroutine[Any, Any, Caller]]:
    """Makes a dependency that returns the caller, or raises Forbidden without the permission."""

    async def allowed(caller: Known) -> Caller:
        check(caller, permission)
        return caller

    return allowed
