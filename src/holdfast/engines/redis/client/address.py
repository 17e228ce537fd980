"""Parses and writes connection strings, and opens clients and plain connections.

The options are those of redis-py's own URLs, so that one string serves applications as well. The
level of TLS verification is also kept as `sslmode`, as in other engines.
"""

import socket
import ssl
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from holdfast.contracts.engine import Address
from holdfast.domain.errors import AddonUnavailable
from holdfast.engines.connection_strings import authority, invalid
from holdfast.engines.redis.client.server_errors import translated
from holdfast.kit.seal import Secret

CERTIFICATE_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_TLS_CHECKS = ("ssl_cert_reqs", "ssl_check_hostname")
_FALSE = ("false", "no", "0")
_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 60.0


def parse(connection_string: str) -> Address:
    """Parses `rediss://user:password@host:port/0?ssl_ca_certs=/path`."""
    try:
        parts = urlsplit(connection_string)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise invalid("is not a Redis connection string") from error
    if parts.scheme not in ("redis", "rediss"):
        raise invalid("must start with redis:// or rediss://")
    if not host:
        raise invalid("names no host")
    if unquote(host).startswith(("/", "@")):  # a socket would let us in as our own user
        raise invalid("must name a host, not a socket")
    user = unquote(parts.username or "") or "default"
    if not user.isprintable() or " " in user or "\0" in unquote(parts.password or ""):
        raise invalid("holds characters that are not allowed")
    database = parts.path.strip("/") or "0"
    if not (database.isascii() and database.isdigit() and len(database) < 6):
        raise invalid("names no database number")
    return Address(
        host=host,
        port=6379 if port is None else port,
        user=user,
        password=Secret(unquote(parts.password or "")),
        database=database,
        options=_options(parts.scheme == "rediss", dict(parse_qsl(parts.query))),
    )


def _options(tls: bool, parameters: Mapping[str, str]) -> dict[str, str]:
    unknown = sorted(parameters.keys() - {*CERTIFICATE_OPTIONS, *_TLS_CHECKS})
    if unknown:
        raise invalid(f"has options that are not supported: {', '.join(unknown)}")
    if parameters and not tls:
        raise invalid("has TLS options; it must start with rediss:// then")
    if not tls:
        return {}
    checks = parameters.get("ssl_cert_reqs", "required")
    if checks not in ("required", "none"):
        raise invalid("has ssl_cert_reqs, which is `required` or `none`")
    if ("ssl_certfile" in parameters) != ("ssl_keyfile" in parameters):
        raise invalid("needs both ssl_certfile and ssl_keyfile, or neither")
    loose = parameters.get("ssl_check_hostname", "true").lower() in _FALSE
    mode = "require" if checks == "none" else "verify-ca" if loose else "verify-full"
    return {
        "sslmode": mode,
        **{name: parameters[name] for name in CERTIFICATE_OPTIONS if name in parameters},
    }


def secrets(address: Address) -> dict[str, str]:
    """What an addon's application gets, under the names of the v1 API."""
    mode = address.options.get("sslmode")
    options = {
        name: address.options[name] for name in CERTIFICATE_OPTIONS if name in address.options
    }
    if mode == "require":
        options["ssl_cert_reqs"] = "none"
    if mode == "verify-ca":
        options["ssl_check_hostname"] = "false"
    scheme, query = "rediss" if mode else "redis", f"?{urlencode(options)}" if options else ""
    uri = f"{scheme}://{authority(address)}/{database_number(address)}{query}"
    password = address.password.reveal()
    return {"USERNAME": address.user, "PASSWORD": password, "REDIS_MASTER_URL": uri}


def database_number(address: Address) -> int:
    """The database's number; 0 for the name that a managed addon's database may have."""
    return int(address.database) if address.database.isdigit() else 0


class Session:
    """Sends commands through redis-py, which parses answers and raises its own exceptions."""

    def __init__(self, client: Redis) -> None:
        self._client = cast("Any", client)

    def ask(self, *words: str) -> Any:
        return self._client.execute_command(*words)


@contextmanager
def client(address: Address) -> Generator[Session]:
    """Yields a session, which connects at its first command; a host that is a path is a socket.

    Raises AddonUnavailable or AddonRefused.
    """
    path = address.host if address.host.startswith("/") else None
    endpoint = {"unix_socket_path": path} if path else {"host": address.host, "port": address.port}
    password = address.password.reveal()
    tls: dict[str, object] = {}
    if (mode := address.options.get("sslmode")) is not None:
        tls = {
            "ssl": True,
            "ssl_cert_reqs": "none" if mode == "require" else "required",
            "ssl_check_hostname": mode == "verify-full",
            **{n: address.options[n] for n in CERTIFICATE_OPTIONS if n in address.options},
        }
    connection = Redis(
        **endpoint,  # pyright: ignore[reportArgumentType] - host or socket
        db=database_number(address),
        username=address.user if password else None,
        password=password or None,
        socket_connect_timeout=_CONNECT_SECONDS,
        socket_timeout=_ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        driver_info=None,
        **tls,
    )
    with translated(address), connection:
        yield Session(connection)


def plain_connection(address: Address) -> socket.socket:
    """A connection without a login; the caller sets its timeout."""
    try:
        raw = socket.create_connection((address.host, address.port), _CONNECT_SECONDS)
        if "sslmode" not in address.options:
            return raw
        options, mode = address.options, address.options["sslmode"]
        context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"))
        context.check_hostname = mode == "verify-full"
        context.verify_mode = ssl.CERT_NONE if mode == "require" else ssl.CERT_REQUIRED
        if "ssl_certfile" in options:
            context.load_cert_chain(options["ssl_certfile"], options["ssl_keyfile"])
        return context.wrap_socket(raw, server_hostname=address.host)
    except (OSError, ValueError) as error:
        endpoint = f"{address.host}:{address.port}"
        raise AddonUnavailable(f"no connection to {endpoint}: {error}") from error
