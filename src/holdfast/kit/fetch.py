"""Reads a file over HTTP(S) from a URL that an API caller chose (no request forgery through us).

A caller must not reach through us what it cannot reach itself: names are resolved here, every
address is checked, and the connection goes to the very address that was checked, so a name that
resolves differently in between gains nothing. A few redirects are followed under the same rule.
Environment proxies are not used.
"""

import ipaddress
import socket
import ssl
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import httpcore

from holdfast.domain.errors import Invalid, Permanent, Temporary

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_REDIRECTS = {301, 302, 303, 307, 308}
_MAX_REDIRECTS = 5
_TIMEOUT_SECONDS = 30.0
_CARRIER_NAT = ipaddress.ip_network("100.64.0.0/10")
_IPV4_IN_IPV6 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("2002::/16"))
"""IPv6 networks whose addresses lead to an IPv4 address of the caller's choice."""
_METADATA_IPV6 = ipaddress.ip_address("fd00:ec2::254")


class NotReachable(Temporary):
    """The address to fetch from did not answer as it should."""

    code = "fetch.unavailable"


class NotAllowed(Permanent):
    """The address to fetch from is not one that may be used."""

    code = "fetch.refused"


@dataclass(frozen=True)
class Rules:
    """Limits of a fetch: private networks that are `allowed`, the file's size and its time.

    `private`: every private network is allowed, because the owner named the address; what serves
    only the machine that asks (see `is_local_service_name`) is not, ever.
    """

    allowed: tuple[Network, ...] = ()
    private: bool = False
    max_bytes: int = 1 << 40
    max_seconds: float = 86_400.0


PUBLIC_ONLY = Rules()
OWNERS_CHOICE = Rules(private=True)


@dataclass(frozen=True)
class Body:
    """`size` in bytes where the server said it."""

    size: int | None
    chunks: Iterator[bytes]


def parse_networks(text: str, setting: str = "import_networks") -> tuple[Network, ...]:
    """`10.0.0.0/8, 192.168.1.5` to networks; Invalid names the setting and what is none."""
    networks: list[Network] = []
    for part in filter(None, (word.strip() for word in text.split(","))):
        try:
            networks.append(ipaddress.ip_network(part, strict=False))
        except ValueError as error:
            problem = f"{part!r} is no network such as 10.0.0.0/8"
            raise Invalid(problem, {setting: problem}) from error
    return tuple(networks)


def require_url(url: str) -> None:
    """Raises Invalid for what cannot be fetched, whatever it resolves to."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise Invalid("is not an http(s) URL")
    if any(ord(char) <= 32 or ord(char) == 127 for char in url):
        raise Invalid("holds white space or control characters")


def is_public(address: Address) -> bool:
    """Whether any machine on the internet can reach this address."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if any(address in network for network in _IPV4_IN_IPV6):
            return False
    elif address in _CARRIER_NAT:
        return False
    return address.is_global and not address.is_multicast


def allowed(address: Address, rules: Rules) -> bool:
    if rules.private:
        return not _is_local_service(address)
    return is_public(address) or any(
        address.version == network.version and address in network for network in rules.allowed
    )


def is_local_service_name(host: str) -> bool:
    """Whether `host` resolves to an address that serves only the machine that asks.

    Clouds give a machine its own credentials at link-local addresses, so no backup comes from
    there; multicast and unspecified addresses count too. False for a name that does not resolve.
    """
    try:
        addresses = _resolve(host, None)
    except NotReachable:
        return False
    return any(_is_local_service(address) for address in addresses)


def _is_local_service(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return (
        address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address == _METADATA_IPV6
    )


class CheckedBackend(httpcore.NetworkBackend):
    """Connects only to addresses that `allowed` accepts."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        last: Exception = NotReachable(f"{host} has no address")
        for address in _resolve(host, port):
            if not allowed(address, self._rules):
                named = host if host == str(address) else f"{host} is {address}, which"
                if self._rules.private:
                    raise NotAllowed(f"{named} serves only the machine that asks")
                raise NotAllowed(
                    f"{named} is not a public address; the operator can allow"
                    " its network with HOLDFAST_IMPORT_NETWORKS"
                )
            try:
                return self._backend.connect_tcp(
                    str(address), port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise last


def _resolve(host: str, port: int | None) -> list[Address]:
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotReachable(f"there is no host {host}") from error
    names = dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in entries)
    return [ipaddress.ip_address(name) for name in names]


@contextmanager
def fetched(url: str, rules: Rules, clock: Callable[[], float]) -> Generator[Body]:
    """The file behind `url`; `clock` gives monotonic seconds.

    Errors name only the host, because a URL may hold a secret.
    """
    require_url(url)
    with httpcore.ConnectionPool(
        ssl_context=ssl.create_default_context(), network_backend=CheckedBackend(rules)
    ) as pool:
        deadline = clock() + rules.max_seconds
        with translated(url), _following_redirects(pool, url) as response:
            text = _header(response, b"content-length") or ""
            size = int(text) if text.isdigit() else None
            if size is not None and size > rules.max_bytes:
                raise NotAllowed(f"the file has {text} bytes; {rules.max_bytes} are allowed")
            yield Body(size, _bounded_chunks(url, response, rules, lambda: clock() > deadline))


@contextmanager
def _following_redirects(pool: httpcore.ConnectionPool, url: str) -> Generator[httpcore.Response]:
    for _ in range(_MAX_REDIRECTS + 1):
        with pool.stream(
            "GET",
            url,
            headers={"User-Agent": "holdfast", "Accept": "*/*", "Accept-Encoding": "identity"},
            extensions={
                "timeout": dict.fromkeys(("connect", "read", "write", "pool"), _TIMEOUT_SECONDS)
            },
        ) as response:
            if response.status not in _REDIRECTS:
                if response.status != 200:
                    raise Permanent(f"{_host(url)} answered with status {response.status}")
                yield response
                return
            url = urljoin(url, _header(response, b"location") or "")
        try:
            require_url(url)
        except Invalid as error:
            raise NotAllowed(f"a redirect leads to what {error.message}") from error
    raise NotAllowed(f"there are more than {_MAX_REDIRECTS} redirects")


@contextmanager
def translated(url: str) -> Generator[None]:
    try:
        yield
    except (httpcore.TimeoutException, httpcore.NetworkError) as error:
        raise NotReachable(f"{_host(url)} did not answer: {type(error).__name__}") from error
    except httpcore.ProtocolError as error:
        raise NotReachable(f"{_host(url)} broke off: {error}") from error
    except ssl.SSLError as error:
        raise NotReachable(f"TLS with {_host(url)} did not work: {error.reason}") from error


def _host(url: str) -> str:
    return urlsplit(url).hostname or "the host"


def _header(response: httpcore.Response, name: bytes) -> str | None:
    values = [value for key, value in response.headers if key.lower() == name]
    return values[0].decode("latin-1") if values else None


def _bounded_chunks(
    url: str, response: httpcore.Response, rules: Rules, late: Callable[[], bool]
) -> Iterator[bytes]:
    count = 0
    with translated(url):
        for chunk in response.iter_stream():
            count += len(chunk)
            if count > rules.max_bytes:
                raise NotAllowed(f"the file has more than {rules.max_bytes} bytes")
            if late():
                raise NotReachable(f"the file took longer than {rules.max_seconds:.0f} s")
            yield chunk
