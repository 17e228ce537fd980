"""Answers an assertion as a role of its own that can read the tables and nothing else.

`SET ROLE` would be undone by RESET ROLE, so the role logs in: it is no superuser, member of none,
and made for one assertion. `pg_read_all_data` would be shorter than the grants that it gets, but
that reads passwords as well. Its transaction is READ ONLY, which no statement can change once it
has begun, also not through a function with the rights of its owner. The text goes by the extended
protocol, which takes one statement only.

A statement that catches its own timeout is ended with its session by a watchdog.
"""

import os
import secrets
import socket
import threading
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import cast

import psycopg
from psycopg import errors
from psycopg.rows import TupleRow
from psycopg.sql import SQL, Identifier, Literal

from holdfast.contracts.drills import Assertion
from holdfast.contracts.engine import Address
from holdfast.domain.errors import Failure
from holdfast.domain.evidence import Check
from holdfast.engines import drill_answers
from holdfast.engines.postgresql.client import facts
from holdfast.engines.postgresql.client.address import Session, connect
from holdfast.engines.postgresql.client.server_errors import translated
from holdfast.engines.staging_names import short_hash
from holdfast.kit.processes.guard import Guard
from holdfast.kit.seal import Secret

_GRACE_SECONDS = 1.0
"""The server's own timeout comes first: its message is the better one."""
_MAX_TEMPORARY_SPACE = "1GB"
_SCHEMAS = (
    "SELECT nspname FROM pg_namespace"
    " WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'"
)
_GRANTS = (
    SQL("GRANT USAGE ON SCHEMA {} TO {}"),
    SQL("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {}"),
    SQL("GRANT SELECT ON ALL SEQUENCES IN SCHEMA {} TO {}"),
)
_FOREIGN_TABLES = (
    "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind = 'f'"
)
_NO_RESULT = ("didn't produce a result", "EMPTY_QUERY")


def assert_true(address: Address, assertion: Assertion, guard: Guard) -> Check:
    database = assertion.database or address.database
    with (
        translated(guard),
        connect(address, database) as administrator,
        _asker(administrator, address, database) as asker_address,
        # Closed, not committed: the statement may have left it in any state.
        closing(connect(asker_address, database, "holdfast assertion")) as session,
    ):
        # The search path that the owner's own sessions have.
        quoted_owner = Identifier(address.owner or address.user).as_string(administrator)
        search_path = str(facts.inside_database(administrator)["searchPath"])
        search_path = search_path.replace('"$user"', quoted_owner).replace("$user", quoted_owner)
        session.execute("SELECT set_config('search_path', %s, false)", [search_path])
        watchdog = _Watchdog(session, address, assertion.seconds + _GRACE_SECONDS)
        release = guard.adopt(watchdog.end_session)
        try:
            return _ask(session, assertion, watchdog)
        finally:
            release()
            watchdog.stop()
            guard.check()


@contextmanager
def _asker(session: Session, address: Address, database: str) -> Generator[Address]:
    """Yields the address of the role, which is dropped afterwards.

    Its name is of the database that has its grants: so one that a killed worker left can be dropped
    from there.
    """
    name = f"holdfast_asker_{short_hash(database)}"
    _drop_role(session, name)
    password = Secret(secrets.token_hex(24))
    # The server gets a verifier: its log must not contain the password.
    verifier = session.pgconn.encrypt_password(
        password.reveal().encode(), name.encode(), b"scram-sha-256"
    ).decode()
    role = Identifier(name)
    # BYPASSRLS: else a table filtered by row security would answer with some of its rows.
    session.execute(
        SQL("CREATE ROLE {} LOGIN NOSUPERUSER INHERIT BYPASSRLS PASSWORD {}").format(
            role, Literal(verifier)
        )
    )
    try:
        grant_connect = SQL("GRANT CONNECT ON DATABASE {} TO {}")
        session.execute(grant_connect.format(Identifier(database), role))
        for (schema,) in session.execute(_SCHEMAS).fetchall():
            for grant in _GRANTS:
                session.execute(grant.format(Identifier(schema), role))
        for schema, table in session.execute(_FOREIGN_TABLES).fetchall():  # they reach elsewhere
            statement = SQL("REVOKE ALL ON {} FROM {}")
            session.execute(statement.format(Identifier(schema, table), role))
        with suppress(errors.InsufficientPrivilege):  # for superusers, who our administrators are
            space = Literal(_MAX_TEMPORARY_SPACE)
            session.execute(SQL("ALTER ROLE {} SET temp_file_limit = {}").format(role, space))
        yield replace(address, user=name, password=password, owner=None)
    finally:
        _drop_role(session, name)


def _drop_role(session: Session, name: str) -> None:
    if session.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).fetchone() is None:
        return
    session.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [name]
    )
    session.execute(SQL("DROP OWNED BY {}").format(Identifier(name)))
    session.execute(SQL("DROP ROLE {}").format(Identifier(name)))


class _Watchdog:
    """Ends a session that goes on after its time."""

    def __init__(self, session: Session, address: Address, seconds: float) -> None:
        self._pid = session.info.backend_pid
        # A descriptor of our own: that of the session may be closed, and be another file by then.
        self._connection = socket.socket(fileno=os.dup(session.fileno()))
        self._address = address
        self.fired = False
        self._timer = threading.Timer(seconds, self.fire)
        self._timer.daemon = True
        self._timer.start()

    def fire(self) -> None:
        self.fired = True
        self.end_session()

    def end_session(self) -> None:
        """Ends the server's process, and our connection in case it does not end."""
        with suppress(Failure, psycopg.Error), connect(self._address) as session:
            session.execute("SELECT pg_terminate_backend(%s)", [self._pid])
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        self._timer.cancel()
        self._timer.join()
        self._connection.close()


def _ask(session: Session, assertion: Assertion, watchdog: _Watchdog) -> Check:
    # Rounded up: a timeout of 0 would be none.
    milliseconds = max(1, round(assertion.seconds * 1000))
    session.execute(SQL("SET statement_timeout = {}").format(Literal(milliseconds)))
    session.execute("BEGIN TRANSACTION READ ONLY")
    try:
        with session.cursor() as cursor:
            stream = cast(
                "Generator[TupleRow]", cursor.stream(assertion.text.encode(errors="replace"))
            )
            with closing(stream):  # the other rows are cancelled, not fetched
                row = next(stream, None)
    except psycopg.Error as error:
        if watchdog.fired:
            return drill_answers.too_long(assertion)
        return _stopped(assertion, error)
    if not row:
        missing = drill_answers.NO_ROW if row is None else drill_answers.NO_VALUE
        return drill_answers.stopped(assertion, missing)
    return drill_answers.answered(assertion, row[0])


def _stopped(assertion: Assertion, error: psycopg.Error) -> Check:
    message = " ".join((error.diag.message_primary or str(error)).split())[:300]
    state = error.sqlstate or ""
    if isinstance(error, errors.QueryCanceled):
        return drill_answers.too_long(assertion)
    if isinstance(error, errors.ReadOnlySqlTransaction) or "denied for sequence" in message:
        return drill_answers.writes(assertion, message)
    if isinstance(error, errors.InsufficientPrivilege):
        return drill_answers.reaches_out(assertion, message)
    if "multiple commands" in message:
        return drill_answers.stopped(assertion, drill_answers.SEVERAL)
    if any(words in message for words in _NO_RESULT) and not state:
        return drill_answers.stopped(assertion, drill_answers.NO_ROW)
    kind = drill_answers.invalid if state.startswith(_CLASS_INVALID) else drill_answers.fails
    return kind(assertion, message)


_CLASS_INVALID = "42"
"""SQLSTATEs of syntax errors and of names that do not exist."""
