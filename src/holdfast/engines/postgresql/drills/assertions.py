"""Answers an assertion as a role of its own that can read all data and nothing else.

`SET ROLE` would be undone by RESET ROLE, so the role logs in: it is no superuser, member of nothing
but `pg_read_all_data`, and made for one assertion. Its transaction is READ ONLY, which no statement
can change once it has begun, also not through a function with the rights of its owner. The text
goes by the extended protocol, which takes one statement only.

A statement that catches its own timeout is ended with its session by a watchdog.
"""

import os
import secrets
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import replace

import psycopg
from psycopg import errors
from psycopg.sql import SQL, Identifier, Literal

from holdfast.contracts.drills import Assertion
from holdfast.contracts.engine import Address
from holdfast.domain.errors import Failure
from holdfast.domain.evidence import Check
from holdfast.engines import drill_answers
from holdfast.engines.postgresql.client import facts
from holdfast.engines.postgresql.client.address import Session, connect
from holdfast.engines.postgresql.client.server_errors import translated
from holdfast.kit.processes.guard import Guard
from holdfast.kit.seal import Secret

ASKER = "holdfast_asker"
"""The role that asks; it exists while one assertion is answered."""

_GRACE_SECONDS = 1.0
"""The server's own timeout comes first: its message is the better one."""
_MAX_TEMPORARY_SPACE = "1GB"


def assert_true(address: Address, assertion: Assertion, guard: Guard) -> Check:
    database = assertion.database or address.database
    with (
        translated(guard),
        connect(address, database) as administrator,
        _asker(administrator, address, database) as asker_address,
        connect(asker_address, database, "holdfast assertion") as session,
    ):
        search_path = _search_path(administrator, address.owner or address.user)
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
    """Yields the address of the role, which is dropped afterwards."""
    _drop_asker(session, database)  # left by a worker that was killed
    password = Secret(secrets.token_hex(24))
    # The server gets a verifier: its log must not contain the password.
    verifier = session.pgconn.encrypt_password(
        password.reveal().encode(), ASKER.encode(), b"scram-sha-256"
    ).decode()
    role, place = Identifier(ASKER), Identifier(database)
    # BYPASSRLS: else a table filtered by row security would answer with some of its rows.
    session.execute(
        SQL("CREATE ROLE {} LOGIN NOSUPERUSER INHERIT BYPASSRLS PASSWORD {}").format(
            role, Literal(verifier)
        )
    )
    try:
        session.execute(SQL("GRANT pg_read_all_data TO {}").format(role))
        session.execute(SQL("GRANT CONNECT ON DATABASE {} TO {}").format(place, role))
        with suppress(errors.InsufficientPrivilege):  # for superusers, who our administrators are
            session.execute(
                SQL("ALTER ROLE {} SET temp_file_limit = {}").format(
                    role, Literal(_MAX_TEMPORARY_SPACE)
                )
            )
        yield replace(address, user=ASKER, password=password, owner=None)
    finally:
        _drop_asker(session, database)


def _drop_asker(session: Session, database: str) -> None:
    if session.execute("SELECT FROM pg_roles WHERE rolname = %s", [ASKER]).fetchone() is None:
        return
    session.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [ASKER]
    )
    role = Identifier(ASKER)
    session.execute(
        SQL("REVOKE ALL ON DATABASE {} FROM {}").format(Identifier(database), role)
    )
    session.execute(SQL("DROP ROLE {}").format(role))


def _search_path(session: Session, owner: str) -> str:
    """The search path that the owner's own sessions have."""
    path = str(facts.inside_database(session)["searchPath"])
    quoted = Identifier(owner).as_string(session)
    return path.replace('"$user"', quoted).replace("$user", quoted)


class _Watchdog:
    """Ends a session that goes on after its time."""

    def __init__(self, session: Session, address: Address, seconds: float) -> None:
        self._pid = session.info.backend_pid
        # A descriptor of our own: that of the session may be closed, and be another file by then.
        self._connection = socket.socket(fileno=os.dup(session.fileno()))
        self._address = address
        self.fired = False
        self._timer = threading.Timer(seconds, self._fire)
        self._timer.daemon = True
        self._timer.start()

    def _fire(self) -> None:
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
    session.execute(
        SQL("SET statement_timeout = {}").format(Literal(milliseconds))
    )
    session.execute("BEGIN TRANSACTION READ ONLY")
    try:
        return _first_answer(session, assertion)
    except psycopg.Error as error:
        if watchdog.fired:
            return drill_answers.too_long(assertion)
        return _stopped(assertion, error)


def _first_answer(session: Session, assertion: Assertion) -> Check:
    with session.cursor() as cursor:
        rows = cursor.stream(assertion.text.encode())
        for row in rows:
            rows.close()  # the rest is cancelled, not fetched
            if not row:
                return drill_answers.stopped(assertion, drill_answers.NO_VALUE)
            return drill_answers.answered(assertion, row[0])
    return drill_answers.stopped(assertion, drill_answers.NO_ROW)


def _stopped(assertion: Assertion, error: psycopg.Error) -> Check:
    message = " ".join((error.diag.message_primary or str(error)).split())[:300]
    match error:
        case errors.QueryCanceled():
            return drill_answers.too_long(assertion)
        case errors.ReadOnlySqlTransaction():
            return drill_answers.writes(assertion, message)
        case errors.InsufficientPrivilege():
            return drill_answers.reaches_out(assertion, message)
        case errors.SyntaxError() if "multiple commands" in message:
            return drill_answers.stopped(assertion, drill_answers.SEVERAL)
        case errors.SyntaxErrorOrAccessRuleViolation():
            return drill_answers.invalid(assertion, message)
        case _:
            return drill_answers.fails(assertion, message)
