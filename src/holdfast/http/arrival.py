"""The outermost layer of the API: finds the caller's address and gives every request an id.

The id is the caller's own if it is short and harmless, else a new one. It is on the answer, in
every log line that is written for the request, and in the audit log.

An address is the socket's, unless that is a proxy the operator trusts: then it is the last one in
`X-Forwarded-For` that is not such a proxy; a client may have made up earlier ones. Forwarding
headers of a request that did not come through a trusted proxy are ignored.
"""

import ipaddress
import logging
import re

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast.kit import ids
from holdfast.kit.clock import Clock
from holdfast.kit.fetch import Network

log = logging.getLogger(__name__)

HEADER = "x-request-id"
_HARMLESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_UNKNOWN_ADDRESS = "unknown"
_STARTS = ("http.response.start", "websocket.accept", "websocket.http.response.start")


def id_of(connection: HTTPConnection) -> str:
    return str(connection.scope["state"]["request_id"])


def address_of(connection: HTTPConnection) -> str:
    return address_in(connection.scope)


def address_in(scope: Scope) -> str:
    return str((scope.get("client") or (_UNKNOWN_ADDRESS, 0))[0])


class Arrival:
    """ASGI middleware around everything else, errors included."""

    def __init__(self, app: ASGIApp, proxies: tuple[Network, ...], clock: Clock) -> None:
        self._app = app
        self._proxies = proxies
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        header = Headers(scope=scope).get(HEADER)
        request_id = header if header and _HARMLESS.fullmatch(header) else ids.hex24()
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.bind_contextvars(request=request_id)  # ends with the request's task
        self._look_behind_proxies(scope)
        began, status = self._clock.monotonic(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] in _STARTS:
                status = message.get("status", 101)
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        try:
            return await self._app(scope, receive, send_with_id)
        finally:
            if log.isEnabledFor(logging.DEBUG):
                fields: dict[str, object] = {
                    "method": scope.get("method", "WEBSOCKET"),
                    "path": scope["path"],  # without the query, which may hold a signature
                    "status": status,
                    "address": address_in(scope),
                    "ms": round((self._clock.monotonic() - began) * 1000, 1),
                }
                log.debug("answered", extra=fields)

    def _look_behind_proxies(self, scope: Scope) -> None:
        if not trusts(self._proxies, address_in(scope)):
            return
        headers = Headers(scope=scope)
        passed = [
            address.strip() for address in ",".join(headers.getlist("x-forwarded-for")).split(",")
        ]
        origin = self._origin([address for address in passed if address])
        if origin is not None:
            scope["client"] = (origin, 0)
        scheme = headers.get("x-forwarded-proto", "").strip().lower()
        if scheme in ("http", "https"):
            scope["scheme"] = scheme if scope["type"] == "http" else f"ws{scheme[4:]}"

    def _origin(self, passed: list[str]) -> str | None:
        """Returns the client's address, read from the right: each proxy adds the one it saw."""
        for text in reversed(passed):
            address = _address(text)
            if address is None:
                return None
            if not trusts(self._proxies, address):
                return address
        return _address(passed[0]) if passed else None


def trusts(proxies: tuple[Network, ...], text: str) -> bool:
    """Tells whether this is the address of a trusted proxy."""
    if not proxies:
        return False
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return any(address.version == n.version and address in n for n in proxies)


def _address(text: str) -> str | None:
    """Reads `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1` or `[2001:db8::1]:4711`."""
    for part in (text, text.strip("[]"), text.rpartition(":")[0].strip("[]")):
        try:
            return str(ipaddress.ip_address(part))
        except ValueError:
            continue
    return None
