"""Parses connection strings; opens sessions; makes the environment of child processes.

A password never becomes an argument: our own sessions get it as a parameter, children in their
environment. Everything else about a connection travels as one libpq conninfo string, which also
keeps a database name full of `=` and quotes from being read as one.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from urllib.parse import quote, urlencode

import psycopg
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow

from holdfast.contracts.engine import Address
from holdfast.domain.errors import AddonRefused, AddonUnavailable, Invalid
from holdfast.engines.postgresql.client import session_settings
from holdfast.engines.postgresql.client.framework_strings import to_libpq
from holdfast.engines.postgresql.client.name_bytes import read_any_name
from holdfast.engines.postgresql.client.server_errors import connect_failure
from holdfast.kit.seal import Secret

Session = Connection[TupleRow]

CERTIFICATE_OPTIONS = ("sslrootcert", "sslcert", "sslkey")
OPTIONS = (
    *CERTIFICATE_OPTIONS,
    "sslmode",
    "sslnegotiation",
    "channel_binding",
    "gssencmode",
    "connect_timeout",
)
USUAL_DATABASES = ("postgres", "template1")
"""Databases that most servers have. Any of them may be missing or closed."""

_UNKNOWN_OPTION = re.compile(r'invalid URI query parameter: "([^"]+)"')
_IDENTITY = ("host", "port", "user", "password", "dbname")

_KEEPALIVES: Mapping[str, str] = {
    "connect_timeout": "10",
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "6",
    "passfile": "/dev/null/none",  # not ~/.pgpass of the person who runs us
    "sslcert": "/dev/null/none",  # nor ~/.postgresql/postgresql.crt
}


def parse(connection_string: str) -> Address:
    """Parses `postgresql://user:password@host:port/database?sslmode=require`.

    Options that frameworks add are translated or ignored: see `to_libpq`.
    """
    uri = to_libpq(connection_string)
    if uri is None:
        raise _invalid("must start with postgresql://")
    try:
        parsed = conninfo_to_dict(uri)
    except psycopg.Error as error:
        unknown = _UNKNOWN_OPTION.search(str(error))
        detail = f": the option {unknown[1]} is not known here" if unknown else ""
        raise _invalid(f"is not a PostgreSQL connection string{detail}") from error
    parameters = {key: str(value) for key, value in parsed.items() if value is not None}
    unsupported = sorted(parameters.keys() - {*_IDENTITY, *OPTIONS})
    if unsupported:
        raise _invalid(f"has options that are not supported: {', '.join(unsupported)}")
    for key in ("host", "user"):
        if not parameters.get(key):
            raise _invalid(f"names no {key}")
    if parameters["host"].startswith(("/", "@")):  # a socket would let us in as our own user
        raise _invalid("must name a host, not a socket")
    port = parameters.get("port", "5432")
    if "," in parameters["host"] or "," in port:
        raise _invalid("must name exactly one host")
    if not parameters["user"].isprintable() or "\0" in "".join(parameters.values()):
        raise _invalid("holds characters that are not allowed")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise _invalid("names no port between 1 and 65535")
    return Address(
        host=parameters["host"],
        port=int(port),
        user=parameters["user"],
        password=Secret(parameters.get("password", "")),
        database=parameters.get("dbname") or parameters["user"],
        options={key: parameters[key] for key in OPTIONS if key in parameters},
    )


def _invalid(problem: str) -> Invalid:
    return Invalid(f"the connection string {problem}", {"connectionString": problem})


def secrets(address: Address) -> dict[str, str]:
    """The secrets of an addon, under the names of the v1 API."""
    password = address.password.reveal()
    host = f"[{address.host}]" if ":" in address.host else quote(address.host, safe="")
    location = f"{host}:{address.port}/{quote(address.database, safe='')}"
    login = f"{quote(address.user, safe='')}:{quote(password, safe='')}"
    options = f"?{urlencode(address.options)}" if address.options else ""
    uri = f"postgresql://{login}@{location}{options}"
    return {
        "USERNAME": address.user,
        "PASSWORD": password,
        "POSTGRES_URI": uri,
        "POSTGRES_URI_ADMIN": uri,
    }


def conninfo(address: Address, database: str, application: str) -> str:
    """Returns all that a child process needs to connect, except the password."""
    return make_conninfo(**_parameters(address, database, application))


def child_environment(
    address: Address, settings: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Returns the password for a child process, and the settings of its sessions.

    `settings` are added to those that all our sessions have.
    """
    return {
        "PGPASSWORD": address.password.reveal(),
        "PGPASSFILE": "/dev/null/none",
        "PGOPTIONS": session_settings.tool_options(address, settings or {}),
    }


def _parameters(address: Address, database: str, application: str) -> dict[str, str]:
    return {
        **_KEEPALIVES,
        **address.options,
        "host": address.host,
        "port": str(address.port),
        "user": address.user,
        "dbname": database,
        "application_name": application,
    }


def connect(
    address: Address, database: str | None = None, application: str = "holdfast"
) -> Session:
    """Opens a session in autocommit. AddonUnavailable or AddonRefused say what went wrong.

    Without a `database`: the address's own or, where that refuses us, one that most servers have.
    That is enough for statements about the whole server.
    """
    if database is not None:
        return _open_session(address, database, application)
    return connect_to_first(
        address, dict.fromkeys((address.database, *USUAL_DATABASES)), application
    )


def connect_to_first(address: Address, databases: Iterable[str], application: str) -> Session:
    """Opens a session in the first of `databases` that lets us in; raises the first refusal if
    none."""
    refusal: AddonRefused | None = None
    for database in databases:
        try:
            return _open_session(address, database, application)
        except AddonRefused as error:
            if error.facts.get("reason") not in ("database", "refused"):
                raise
            refusal = refusal or error
    raise refusal or AddonRefused(
        f"no database of the server at {address.host}:{address.port} can be entered to work from;"
        " ALTER DATABASE template1 ALLOW_CONNECTIONS true helps",
        reason="database",
    )


def _open_session(address: Address, database: str, application: str) -> Session:
    parameters = _parameters(address, database, application)
    for rights in session_settings.candidates(address):
        try:
            session = psycopg.connect(
                **parameters,  # pyright: ignore[reportArgumentType] - libpq words are strings
                password=address.password.reveal(),
                options=session_settings.session_options(rights),
                client_encoding="utf8",
                autocommit=True,
                prepare_threshold=None,
            )
        except psycopg.Error as error:
            if rights.is_refused(str(error)):
                continue
            raise connect_failure(error, address, database) from error
        session_settings.remember(address, rights)
        read_any_name(session)
        return session
    raise AssertionError("the last candidate sets nothing that needs a right")


def copy_rows(session: Session, statement: bytes, chunks: Iterable[bytes]) -> None:
    """Carries out a COPY ... FROM stdin with these rows."""
    with session.cursor() as cursor, cursor.copy(statement) as copy:
        for chunk in chunks:
            copy.write(chunk)


def through_socket(address: Address) -> Address:
    """The same server through its Unix socket when it is on this machine: a third faster.

    A socket leads to the same server only when both report the same start time.
    """
    if address.host not in ("127.0.0.1", "localhost", "::1"):
        return address
    with connect(address) as session:
        started, directories = _start_time_and_sockets(session)
    for directory in directories:
        candidate = replace(address, host=directory)
        # A missing socket is no failure: TCP works, only slower.
        with suppress(AddonUnavailable, AddonRefused), connect(candidate) as session:
            if _start_time_and_sockets(session)[0] == started:
                return candidate
    return address


def _start_time_and_sockets(session: Session) -> tuple[object, list[str]]:
    row = session.execute(
        "SELECT pg_postmaster_start_time(),"
        " (SELECT setting FROM pg_settings WHERE name = 'unix_socket_directories')"
    ).fetchone()
    assert row is not None
    listed = (part.strip().strip('"') for part in (row[1] or "").split(","))
    return row[0], [directory for directory in listed if directory.startswith("/")]
