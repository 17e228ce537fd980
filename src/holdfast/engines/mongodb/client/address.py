"""Parses and writes connection strings.

Read by ourselves, because pymongo asks the DNS while it parses `mongodb+srv://`, and would keep a
password inside of a URI. Options that tune an application's own client (pool sizes, timeouts, write
concerns) are accepted and dropped; unknown ones are refused. The level of TLS verification is kept
as `sslmode`, as in other engines.
"""

from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, quote, unquote, urlencode

from holdfast.contracts.engine import HOSTS, Address
from holdfast.engines.connection_strings import authority, invalid
from holdfast.kit.seal import Secret

CERTIFICATE_OPTIONS = ("tlsCAFile", "tlsCertificateKeyFile")
"""The CA to trust, and a file with the client's certificate and key; both in PEM."""
SRV = "srv"
"""Option of an address: the host is a name whose SRV records list the hosts."""

_DEFAULT_PORT = 27017
_SCHEMES = ("mongodb", "mongodb+srv")
_MECHANISMS = ("SCRAM-SHA-1", "SCRAM-SHA-256")
_PASSED = (*CERTIFICATE_OPTIONS, "authSource", "authMechanism", "replicaSet", "directConnection")
_TLS = ("tls", "ssl", "tlsInsecure", "tlsAllowInvalidCertificates", "tlsAllowInvalidHostnames")
_OF_APPLICATIONS = (
    *("appName", "compressors", "connectTimeoutMS", "heartbeatFrequencyMS", "journal", "j"),
    *("localThresholdMS", "maxConnecting", "maxIdleTimeMS", "maxPoolSize", "maxStalenessSeconds"),
    *("minPoolSize", "readConcernLevel", "readPreference", "readPreferenceTags", "retryReads"),
    *("retryWrites", "serverMonitoringMode", "serverSelectionTimeoutMS", "socketTimeoutMS"),
    *("timeoutMS", "uuidRepresentation", "w", "waitQueueTimeoutMS", "wtimeoutMS"),
    *("zlibCompressionLevel",),
)
_CANONICAL = {name.lower(): name for name in (*_PASSED, *_TLS, *_OF_APPLICATIONS)}
"""Names of options are compared without case, as drivers do."""
_BOOLEANS = {"true": True, "false": False}


def parse(connection_string: str) -> Address:
    """Parses `mongodb://user:password@host:port,host:port/database?replicaSet=rs0`, or
    `mongodb+srv://user:password@name/database`. Invalid says what is wrong; the text is not shown,
    because it may hold a password."""
    scheme, separator, remainder = connection_string.partition("://")
    if scheme not in _SCHEMES or not separator:
        raise invalid("must start with mongodb:// or mongodb+srv://")
    before_query, _, query = remainder.partition("?")
    location, _, path = before_query.partition("/")
    login, _, host_list = location.rpartition("@")
    user, _, password = (unquote(part) for part in login.partition(":"))
    hosts = [_host(text) for text in host_list.split(",")]
    database = unquote(path)
    if "\0" in password or not (user + database + "".join(h for h, _ in hosts)).isprintable():
        raise invalid("holds characters that are not allowed")
    if bool(user) != bool(password):
        raise invalid("names a user without a password" if user else "has a password and no user")
    srv = scheme == "mongodb+srv"
    if srv and (len(hosts) > 1 or ":" in host_list):
        raise invalid("of the form mongodb+srv:// names one host, without a port")
    host, port = hosts[0]
    return Address(
        host=host,
        port=port,
        user=user,
        password=Secret(password),
        database=database,
        options=_options(dict(parse_qsl(query)), hosts[1:], database, srv=srv),
    )


def _host(text: str) -> tuple[str, int]:
    """Host and port; an IPv6 address stands in brackets."""
    name, port = text, ""
    if text.startswith("["):
        name, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif ":" in text:
        name, _, port = text.rpartition(":")
    if not name:
        raise invalid("names no host")
    if "/" in unquote(name) or "@" in unquote(name):  # a socket would let us in as our own user
        raise invalid("must name a host, not a socket")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise invalid("names no port up to 65535")
    return unquote(name).lower(), int(port or _DEFAULT_PORT)


def _options(
    query: Mapping[str, str], more_hosts: list[tuple[str, int]], database: str, *, srv: bool
) -> dict[str, str]:
    named = {_CANONICAL.get(name.lower(), name): value for name, value in query.items()}
    unknown = sorted(named.keys() - {*_PASSED, *_TLS, *_OF_APPLICATIONS})
    if unknown:
        raise invalid(f"has options that are not supported: {', '.join(unknown)}")
    if named.get("authMechanism", _MECHANISMS[0]) not in _MECHANISMS:
        raise invalid(f"has an authMechanism other than {' and '.join(_MECHANISMS)}")
    options = {name: value for name, value in named.items() if name in _PASSED and value}
    if database and not srv:  # with +srv the DNS may name another one
        options.setdefault("authSource", database)
    if _flag(options, "directConnection") and (more_hosts or srv):
        raise invalid("has directConnection, which goes to exactly one host")
    options |= _tls(named, srv=srv)
    if more_hosts:
        options[HOSTS] = ",".join(_joined(host, port) for host, port in more_hosts)
    return {**options, SRV: "true"} if srv else options


def _tls(named: Mapping[str, str], *, srv: bool) -> dict[str, str]:
    """The level of verification; `mongodb+srv` means TLS unless the options deny it."""
    enabled = _flag(named, "tls", _flag(named, "ssl", srv))
    checked = [name for name in (*_TLS[2:], *CERTIFICATE_OPTIONS) if named.get(name)]
    if not enabled:
        if checked:
            raise invalid(f"has {checked[0]}; it needs tls=true then")
        return {"tls": "false"} if srv else {}
    if _flag(named, "tlsInsecure") or _flag(named, "tlsAllowInvalidCertificates"):
        return {"sslmode": "require"}
    return {"sslmode": "verify-ca" if _flag(named, "tlsAllowInvalidHostnames") else "verify-full"}


def _flag(options: Mapping[str, str], name: str, default: bool = False) -> bool:
    if name not in options:
        return default
    if options[name].lower() not in _BOOLEANS:
        raise invalid(f"has {name}, which is `true` or `false`")
    return _BOOLEANS[options[name].lower()]


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def endpoints(address: Address) -> Iterator[str]:
    """Every `host:port` of the address; a host that is a path stands alone."""
    yield address.host if address.host.startswith("/") else _joined(address.host, address.port)
    if address.options.get(HOSTS):
        yield from address.options[HOSTS].split(",")


def is_direct(address: Address) -> bool:
    """Whether exactly this server is spoken to, instead of the primary of its set.

    So it is for one host without `replicaSet`: then the names that the set gives its members need
    not resolve here.
    """
    several = any(name in address.options for name in (HOSTS, SRV, "replicaSet"))
    return _flag(address.options, "directConnection", not several)


def secrets(address: Address) -> dict[str, str]:
    """What an addon's application gets, under the names of the v1 API.

    The API calls the string `MONGO_SRV`, whatever its scheme.
    """
    uri = _uri(address)
    return {
        "USERNAME": address.user,
        "PASSWORD": address.password.reveal(),
        "DATABASE": address.database,
        "MONGO_SRV": uri,
        "MONGO_SRV_ADMIN": uri,
    }


def _uri(address: Address) -> str:
    login, at, location = authority(address).rpartition("@")
    srv, mode = SRV in address.options, address.options.get("sslmode")
    if srv:
        location = location.rpartition(":")[0]
    hosts = ",".join((location, *list(endpoints(address))[1:]))
    options = {name: v for name, v in address.options.items() if name in (*_PASSED, "tls")}
    if not srv:
        options.setdefault("authSource", "admin")
    if mode is not None:
        options["tls"] = "true"
    if mode == "require":
        options["tlsAllowInvalidCertificates"] = "true"
    if mode == "verify-ca":
        options["tlsAllowInvalidHostnames"] = "true"
    if is_direct(address):
        options["directConnection"] = "true"
    scheme = _SCHEMES[srv]
    query = f"?{urlencode(options)}" if options else ""
    user = f"{login}{at}" if address.user else ""
    return f"{scheme}://{user}{hosts}/{quote(address.database, safe='')}{query}"
