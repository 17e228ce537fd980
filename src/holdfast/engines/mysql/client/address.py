"""Connection strings in; sessions, and option files for children, out.

A password never becomes an argument or a variable: our own sessions get it as a parameter,
children read it from a file in memory.
"""

import socket
import ssl
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from holdfast.contracts.engine import Address
from holdfast.domain.errors import AddonRefused, AddonUnavailable, Invalid
from holdfast.engines.mysql.client import session_settings
from holdfast.engines.mysql.client.connection import Session, WireError
from holdfast.engines.mysql.client.server_errors import of_connecting
from holdfast.kit.seal import Secret

OPTIONS = ("ssl-mode", "ssl-ca")
SSL_MODES = ("disabled", "preferred", "required", "verify_ca", "verify_identity")
_SCHEMES = ("mysql", "mariadb")
_LOCAL = ("127.0.0.1", "localhost", "::1")
_CONNECT_SECONDS = 10


def parse(connection_string: str) -> Address:
    """`mysql://user:password@host:port/database?ssl-mode=required` to an Address."""
    try:
        url = urlsplit(connection_string)
        port = 3306 if url.port is None else url.port
    except ValueError as error:
        raise _invalid("is not a connection string, or names no port up to 65535") from error
    if url.scheme not in _SCHEMES:
        raise _invalid("must start with mysql:// or mariadb://")
    user, host = unquote(url.username or ""), unquote(url.hostname or "")
    for part, text in (("host", host), ("user", user)):
        if not text:
            raise _invalid(f"names no {part}")
    if host.startswith(("/", "@")):  # there we would be let in as our own user
        raise _invalid("must name a host, not a socket")
    if "," in host or "," in url.netloc.rpartition("@")[2]:
        raise _invalid("must name exactly one host")
    database, password = unquote(url.path.removeprefix("/")), unquote(url.password or "")
    if not (user + host + database).isprintable() or "\0" in password or not port:
        raise _invalid("holds characters that are not allowed")
    return Address(host, port, user, Secret(password), database, _options(url.query))


def _options(query: str) -> dict[str, str]:
    options = {key.lower().replace("_", "-"): value for key, value in parse_qsl(query)}
    unknown = sorted(options.keys() - set(OPTIONS))
    if unknown:
        raise _invalid(f"has options that are not supported: {', '.join(unknown)}")
    mode = options.get("ssl-mode", "preferred").lower().replace("-", "_")
    if mode not in SSL_MODES:
        raise _invalid(f"has an unknown ssl-mode; there are: {', '.join(SSL_MODES)}")
    return {**options, "ssl-mode": mode} if "ssl-mode" in options else options


def _invalid(problem: str) -> Invalid:
    return Invalid(f"the connection string {problem}", {"connectionString": problem})


def secrets(address: Address) -> dict[str, str]:
    """The names are those of the v1 API."""
    password = address.password.reveal()
    host = f"[{address.host}]" if ":" in address.host else quote(address.host, safe="")
    location = f"{host}:{address.port}/{quote(address.database, safe='')}"
    login = f"{quote(address.user, safe='')}:{quote(password, safe='')}"
    options = f"?{urlencode(address.options)}" if address.options else ""
    uri = f"mysql://{login}@{location}{options}"
    return {
        "USERNAME": address.user,
        "PASSWORD": password,
        "MYSQL_URI": uri,
        "MYSQL_URI_ADMIN": uri,
    }


def is_local(address: Address) -> bool:
    return address.host in _LOCAL or address.host.startswith("/")


def connect(address: Address, database: str | None = None) -> Session:
    """A session whose settings are ours. AddonUnavailable or AddonRefused say what went wrong."""
    try:
        session = Session(_parameters(address, database))
    except (WireError, OSError, ssl.SSLError, ValueError) as error:
        raise of_connecting(error, address) from error
    try:
        session_settings.settle(session)
    except (WireError, OSError) as error:
        session.close()
        raise of_connecting(error, address) from error
    return session


def _parameters(address: Address, database: str | None) -> dict[str, Any]:
    endpoint = (
        {"unix_socket": address.host}
        if address.host.startswith("/")
        else {"host": address.host, "port": address.port}
    )
    return {
        **endpoint,
        **_tls(address),
        "user": address.user,
        "password": address.password.reveal().encode(),  # text would travel as latin1
        "database": database,
        "connect_timeout": _CONNECT_SECONDS,
    }


def _tls(address: Address) -> dict[str, Any]:
    mode = address.options.get("ssl-mode", "preferred")
    if address.host.startswith("/") or mode == "disabled":
        return {"ssl_disabled": True}  # a socket leaves this machine no more than we do
    if mode == "preferred":
        return {}
    return {"ssl": _context(mode, address.options.get("ssl-ca"))}


def _context(mode: str, ca: str | None) -> ssl.SSLContext:
    """Made here: left to the library, a missing CA would turn off what was asked for."""
    context = ssl.create_default_context(cafile=ca)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # the CAs that servers make lack extensions
    context.check_hostname = mode == "verify_identity"
    if mode == "required":
        context.verify_mode = ssl.CERT_NONE
    return context


def option_file(address: Address) -> Secret:
    """What a stock client has to be told, the password among it; for a file in memory."""
    mode = address.options.get("ssl-mode", "preferred")
    lines = [
        "[client]",
        f"user={_quoted(address.user)}",
        f"password={_quoted(address.password.reveal())}",
        *(
            [f"socket={_quoted(address.host)}", "protocol=socket"]
            if address.host.startswith("/")
            else [f"host={_quoted(address.host)}", f"port={address.port}", "protocol=tcp"]
        ),
    ]
    if mode in ("required", "verify_ca", "verify_identity"):
        lines += ["loose-ssl=1", f"loose-ssl-mode={mode.upper()}"]
    if mode == "disabled":
        lines += ["loose-skip-ssl", "loose-ssl-mode=DISABLED"]
    if "ssl-ca" in address.options:
        lines.append(f"ssl-ca={_quoted(address.options['ssl-ca'])}")
    verified = mode in ("verify_ca", "verify_identity")  # what MariaDB's do by default since 11.4
    lines += ["[client-mariadb]", f"loose-ssl-verify-server-cert={verified:d}"]
    return Secret("\n".join([*lines, ""]))


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def nearest(address: Address) -> Address:
    """The same server through its Unix socket when it is on this machine: faster.

    It is the same server only when it says so, and only if it takes us for the same user.
    """
    if address.host not in _LOCAL or address.options.get("ssl-mode", "preferred") != "preferred":
        return address
    with connect(address) as session:
        path, datadir, user = session.row("SELECT @@socket, @@datadir, current_user()")
    full = path if path.startswith("/") else f"{datadir.rstrip('/')}/{path}"
    if len(full.encode()) > _SOCKET_LIMIT:
        return address
    candidate = replace(address, host=full)
    return candidate if _same(candidate, address.port, datadir, user) else address


_SOCKET_LIMIT = 107


def _same(candidate: Address, port: int, datadir: str, user: str) -> bool:
    try:
        with connect(candidate) as session:
            row = session.row("SELECT @@port, @@datadir, current_user(), @@hostname")
    except (AddonUnavailable, AddonRefused):
        return False
    return tuple(row) == (port, datadir, user, socket.gethostname())
