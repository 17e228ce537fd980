"""Connection strings in; clients, plain connections and connection strings out.

The options are those of redis-py's own URLs, so one string serves applications as well. What TLS
checks is also kept as `sslmode`, the word that other engines use for it.
"""

import socket
import ssl
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from holdfast.contracts.engine import Address
from holdfast.domain.errors import AddonUnavailable, Invalid
from holdfast.engines.redis.client.server_errors import translated
from holdfast.kit.seal import Secret

FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_CHECKS = ("ssl_cert_reqs", "ssl_check_hostname")
_FALSE = ("false", "no", "0")
_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 60.0


def parse(connection_string: str) -> Address:
    """`rediss://user:password@host:port/0?ssl_ca_certs=/path` to an Address."""
    try:
        parts = urlsplit(connection_string)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _invalid("is not a Redis connection string") from error
    if parts.scheme not in ("redis", "rediss"):
        raise _invalid("must start with redis:// or rediss://")
    if not host:
        raise _invalid("names no host")
    if unquote(host).startswith(("/", "@")):  # a socket's permissions are those of our own user
        raise _invalid("must name a host, not a socket")
    user = unquote(parts.username or "") or "default"
    if not user.isprintable() or " " in user or "\0" in unquote(parts.password or ""):
        raise _invalid("holds characters that are not allowed")
    return Address(
        host=host,
        port=6379 if port is None else port,
        user=user,
        password=Secret(unquote(parts.password or "")),
        database=_database(parts.path),
        options=_options(parts.scheme == "rediss", dict(parse_qsl(parts.query))),
    )


def _database(path: str) -> str:
    text = path.strip("/") or "0"
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise _invalid("names no database number")
    return text


def _options(tls: bool, parameters: Mapping[str, str]) -> dict[str, str]:
    unknown = sorted(parameters.keys() - {*FILES, *_CHECKS})
    if unknown:
        raise _invalid(f"has options that are not supported: {', '.join(unknown)}")
    if parameters and not tls:
        raise _invalid("has TLS options; it must start with rediss:// then")
    if not tls:
        return {}
    checks = parameters.get("ssl_cert_reqs", "required")
    if checks not in ("required", "none"):
        raise _invalid("has ssl_cert_reqs, which is `required` or `none`")
    if ("ssl_certfile" in parameters) != ("ssl_keyfile" in parameters):
        raise _invalid("needs both ssl_certfile and ssl_keyfile, or neither")
    loose = parameters.get("ssl_check_hostname", "true").lower() in _FALSE
    mode = "require" if checks == "none" else "verify-ca" if loose else "verify-full"
    return {"sslmode": mode, **{name: parameters[name] for name in FILES if name in parameters}}


def _invalid(problem: str) -> Invalid:
    return Invalid(f"the connection string {problem}", {"connectionString": problem})


def secrets(address: Address) -> dict[str, str]:
    """The names are those of the v1 API."""
    password = address.password.reveal()
    host = f"[{address.host}]" if ":" in address.host else quote(address.host, safe="")
    login = f"{quote(address.user, safe='')}:{quote(password, safe='')}"
    scheme, options = _written(address.options)
    uri = f"{scheme}://{login}@{host}:{address.port}/{number(address)}{options}"
    return {"USERNAME": address.user, "PASSWORD": password, "REDIS_MASTER_URL": uri}


def _written(options: Mapping[str, str]) -> tuple[str, str]:
    mode = options.get("sslmode")
    if mode is None:
        return "redis", ""
    words = {name: options[name] for name in FILES if name in options}
    if mode == "require":
        words["ssl_cert_reqs"] = "none"
    if mode == "verify-ca":
        words["ssl_check_hostname"] = "false"
    return "rediss", f"?{urlencode(words)}" if words else ""


def number(address: Address) -> int:
    """The database; a managed addon's may have a name, which Redis has no use for."""
    return int(address.database) if address.database.isdigit() else 0


class Session:
    """Ordinary commands; answers are parsed as redis-py does, errors are its exceptions."""

    def __init__(self, client: Redis) -> None:
        self._client = cast("Any", client)

    def ask(self, *words: str) -> Any:
        return self._client.execute_command(*words)


@contextmanager
def client(address: Address) -> Generator[Session]:
    """A session, opened with the first command. AddonUnavailable or AddonRefused say what went
    wrong. A host that is a path is a Unix socket."""
    path = address.host if address.host.startswith("/") else None
    endpoint = {"unix_socket_path": path} if path else {"host": address.host, "port": address.port}
    password = address.password.reveal()
    connection = Redis(
        **endpoint,  # pyright: ignore[reportArgumentType] - one of the two ways
        db=number(address),
        username=address.user if password else None,
        password=password or None,
        socket_connect_timeout=_CONNECT_SECONDS,
        socket_timeout=_ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        driver_info=None,
        **_ssl_words(address.options),
    )
    with translated(address), connection:
        yield Session(connection)


def _ssl_words(options: Mapping[str, str]) -> dict[str, object]:
    mode = options.get("sslmode")
    if mode is None:
        return {}
    return {
        "ssl": True,
        "ssl_cert_reqs": "none" if mode == "require" else "required",
        "ssl_check_hostname": mode == "verify-full",
        **{name: options[name] for name in FILES if name in options},
    }


def plain_connection(address: Address) -> socket.socket:
    """A connection that nobody has spoken on yet. `settimeout` is the caller's."""
    try:
        raw = socket.create_connection((address.host, address.port), _CONNECT_SECONDS)
        if "sslmode" not in address.options:
            return raw
        return _context(address.options).wrap_socket(raw, server_hostname=address.host)
    except (OSError, ValueError) as error:
        endpoint = f"{address.host}:{address.port}"
        raise AddonUnavailable(f"no connection to {endpoint}: {error}") from error


def _context(options: Mapping[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"))
    mode = options["sslmode"]
    context.check_hostname = mode == "verify-full"
    context.verify_mode = ssl.CERT_NONE if mode == "require" else ssl.CERT_REQUIRED
    if "ssl_certfile" in options:
        context.load_cert_chain(options["ssl_certfile"], options["ssl_keyfile"])
    return context
