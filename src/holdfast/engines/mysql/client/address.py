"""Parses connection strings, opens sessions, and writes option files for stock clients.

A password never becomes an argument or an environment variable: our own sessions get it as a
parameter, children read it from a file in memory.
"""

import socket
import ssl
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from holdfast.contracts.engine import Address
from holdfast.domain.errors import AddonRefused, AddonUnavailable
from holdfast.engines.connection_strings import authority, invalid
from holdfast.engines.mysql.client import session_settings
from holdfast.engines.mysql.client.connection import Session, WireError
from holdfast.engines.mysql.client.server_errors import connect_failure
from holdfast.kit.seal import Secret

OPTIONS = ("ssl-mode", "ssl-ca")
SSL_MODES = ("disabled", "preferred", "required", "verify_ca", "verify_identity")
_SCHEMES = ("mysql", "mariadb")
_LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
_CONNECT_SECONDS = 10


def parse(connection_string: str) -> Address:
    """Parses `mysql://user:password@host:port/database?ssl-mode=required`."""
    try:
        url = urlsplit(connection_string)
        port = 3306 if url.port is None else url.port
    except ValueError as error:
        raise invalid("is not a connection string, or names no port up to 65535") from error
    if url.scheme not in _SCHEMES:
        raise invalid("must start with mysql:// or mariadb://")
    user, host = unquote(url.username or ""), unquote(url.hostname or "")
    for part, text in (("host", host), ("user", user)):
        if not text:
            raise invalid(f"names no {part}")
    if host.startswith(("/", "@")):  # a socket would let us in as our own user
        raise invalid("must name a host, not a socket")
    if "," in host or "," in url.netloc.rpartition("@")[2]:
        raise invalid("must name exactly one host")
    database, password = unquote(url.path.removeprefix("/")), unquote(url.password or "")
    if not (user + host + database).isprintable() or "\0" in password or not port:
        raise invalid("holds characters that are not allowed")
    return Address(host, port, user, Secret(password), database, _options(url.query))


def _options(query: str) -> dict[str, str]:
    options = {key.lower().replace("_", "-"): value for key, value in parse_qsl(query)}
    unknown = sorted(options.keys() - set(OPTIONS))
    if unknown:
        raise invalid(f"has options that are not supported: {', '.join(unknown)}")
    mode = options.get("ssl-mode", "preferred").lower().replace("-", "_")
    if mode not in SSL_MODES:
        raise invalid(f"has an unknown ssl-mode; there are: {', '.join(SSL_MODES)}")
    return {**options, "ssl-mode": mode} if "ssl-mode" in options else options


def secrets(address: Address) -> dict[str, str]:
    """What an addon's application gets, under the names of the v1 API."""
    options = f"?{urlencode(address.options)}" if address.options else ""
    uri = f"mysql://{authority(address)}/{quote(address.database, safe='')}{options}"
    return {
        "USERNAME": address.user,
        "PASSWORD": address.password.reveal(),
        "MYSQL_URI": uri,
        "MYSQL_URI_ADMIN": uri,
    }


def is_local(address: Address) -> bool:
    return address.host in _LOCAL_HOSTS or address.host.startswith("/")


def connect(address: Address, database: str | None = None) -> Session:
    """Opens a session with our settings. Raises AddonUnavailable or AddonRefused."""
    endpoint = (
        {"unix_socket": address.host}
        if address.host.startswith("/")
        else {"host": address.host, "port": address.port}
    )
    try:
        session = Session(
            {
                **endpoint,
                **_tls(address),
                "user": address.user,
                "password": address.password.reveal().encode(),  # text would travel as latin1
                "database": database,
                "connect_timeout": _CONNECT_SECONDS,
            }
        )
    except (WireError, OSError, ssl.SSLError, ValueError) as error:
        raise connect_failure(error, address) from error
    try:
        session_settings.apply_base_settings(session)
    except (WireError, OSError) as error:
        session.close()
        raise connect_failure(error, address) from error
    return session


def _tls(address: Address) -> dict[str, Any]:
    mode = address.options.get("ssl-mode", "preferred")
    if address.host.startswith("/") or mode == "disabled":
        return {"ssl_disabled": True}  # what passes a socket does not leave this machine
    if mode == "preferred":
        return {}
    # Our own context: with PyMySQL's, a missing CA would silently turn verification off.
    context = ssl.create_default_context(cafile=address.options.get("ssl-ca"))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # CAs that servers generate lack extensions
    context.check_hostname = mode == "verify_identity"
    if mode == "required":
        context.verify_mode = ssl.CERT_NONE
    return {"ssl": context}


def option_file(address: Address) -> Secret:
    """The option file of a stock client, with the password; for a file in memory."""
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
    verified = mode in (
        "verify_ca",
        "verify_identity",
    )  # MariaDB's clients verify by default since 11.4
    lines += ["[client-mariadb]", f"loose-ssl-verify-server-cert={verified:d}"]
    return Secret("\n".join([*lines, ""]))


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def nearest(address: Address) -> Address:
    """The address of a local server's Unix socket, which is faster; else `address` itself.

    The socket is used only if the server behind it gives the same port, data directory, host name
    and user.
    """
    if (
        address.host not in _LOCAL_HOSTS
        or address.options.get("ssl-mode", "preferred") != "preferred"
    ):
        return address
    with connect(address) as session:
        path, datadir, user = session.row("SELECT @@socket, @@datadir, current_user()")
    full = path if path.startswith("/") else f"{datadir.rstrip('/')}/{path}"
    if len(full.encode()) > _MAX_SOCKET_PATH_BYTES:
        return address
    candidate = replace(address, host=full)
    try:
        with connect(candidate) as session:
            row = session.row("SELECT @@port, @@datadir, current_user(), @@hostname")
    except (AddonUnavailable, AddonRefused):
        return address
    same = tuple(row) == (address.port, datadir, user, socket.gethostname())
    return candidate if same else address


_MAX_SOCKET_PATH_BYTES = 107  # sockaddr_un, less the final zero
