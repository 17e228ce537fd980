"""Answers an assertion as a user of its own that can read the databases and nothing else.

The user may SELECT and EXECUTE in the user databases, not in the server's own, and has no global
right: no file is read or written. Its transaction is READ ONLY. A statement that could end that
transaction is not sent: the text has to be one query, by its first word. Functions that it calls
may have the rights of their definer, but no function may end a transaction.

The server stops a query after its time, but a SLEEP in MySQL then just ends, as if it were done. So
the time is measured here, too, and a watchdog ends the session when the server does not.
"""

import re
import secrets
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import replace

from holdfast.contracts.drills import Assertion
from holdfast.contracts.engine import Address
from holdfast.domain.errors import EvidenceMissing, Failure
from holdfast.domain.evidence import Check
from holdfast.engines import drill_answers
from holdfast.engines.mysql.client import facts
from holdfast.engines.mysql.client.address import connect
from holdfast.engines.mysql.client.connection import (
    Session,
    WireError,
    error_number,
    quote_pattern,
)
from holdfast.engines.mysql.client.passwords import identified_by
from holdfast.engines.mysql.client.server_errors import PRIVILEGE, error_text, translated
from holdfast.engines.mysql.client.tools import MARIADB
from holdfast.engines.mysql.dump.script import statements, tokens
from holdfast.kit.processes.guard import Guard
from holdfast.kit.seal import Secret

ASKER = "holdfast_asker"
"""The user that asks; it exists while one assertion is answered."""

_GRACE_SECONDS = 1.0
_QUERY = re.compile(
    r"(?:\s|--\s[^\n]*(?:\n|$)|#[^\n]*(?:\n|$)|/\*(?!M?!).*?\*/|\()*(?:SELECT|WITH|VALUES|TABLE)\b",
    re.IGNORECASE | re.DOTALL,
)
"""Comments that a server may execute are not skipped: servers differ in which they do."""
_WRITE = re.compile(
    r"ALTER|ANALYZE|CREATE|DELETE|DROP|GRANT|INSERT|LOAD|OPTIMIZE|RENAME|REPAIR|REPLACE|REVOKE"
    r"|TRUNCATE|UPDATE"
)
_FILES = ("LOAD_FILE", "OUTFILE", "DUMPFILE")
_READ_ONLY = (1792, 1290, 1422)
"""Read-only transaction; read-only server; a commit in a function."""
_INTERRUPTED = (1969, 3024, 1317, 1028, 2006, 2013, 2055, 0)
_SYNTAX = (1064, 1149)
_UNKNOWN = (1046, 1049, 1054, 1146, 1305, 1327, 1630)
_FILE_REFUSED = (1045, 1290, 13, 1086)


def assert_true(address: Address, assertion: Assertion, guard: Guard) -> Check:
    refusal = _refusal(assertion)
    if refusal is not None:
        return refusal
    database = assertion.database or address.database or None
    with (
        translated(guard),
        connect(address) as administrator,
        _asker(administrator, address) as asker_address,
        connect(asker_address, database) as session,
    ):
        watchdog = _Watchdog(session, address, assertion.seconds + _GRACE_SECONDS)
        release = guard.adopt(watchdog.end_session)
        try:
            return _ask(session, assertion)
        finally:
            release()
            watchdog.stop()
            guard.check()


def _refusal(assertion: Assertion) -> Check | None:
    """Refuses what is no single query before it reaches the server."""
    text = assertion.text.strip()
    encoded = text.encode(errors="replace")
    try:
        count = len(list(statements(iter([encoded, b"\n;\n"]))))
    except EvidenceMissing as error:
        return drill_answers.invalid(assertion, error.message)
    if count > 1:
        return drill_answers.stopped(assertion, drill_answers.SEVERAL)
    if _QUERY.match(text) is None:
        words = [word for kind, word in tokens(encoded, 8) if kind == "word"]
        first = words[0].upper() if words else text[:20]
        if _WRITE.fullmatch(first):
            return drill_answers.writes(assertion, f"it begins with {first}")
        return drill_answers.stopped(
            assertion, f"it begins with {first}: an assertion is a query that begins with SELECT"
        )
    return None


@contextmanager
def _asker(session: Session, address: Address) -> Generator[Address]:
    """Yields the address of the user, who is dropped afterwards."""
    password = Secret(secrets.token_hex(24))
    flavour = facts.server(session)["flavour"]
    account = f"'{ASKER}'@'%'"
    session.execute(f"DROP USER IF EXISTS {account}")  # left by a worker that was killed
    session.execute(f"CREATE USER {account} {identified_by(flavour, password, session.literal)}")
    try:
        for database in facts.databases(session):
            pattern = quote_pattern(str(database["name"]))
            rights = "SELECT, SHOW VIEW, EXECUTE"
            session.execute(f"GRANT {rights} ON {pattern}.* TO {account}")
        yield replace(address, user=ASKER, password=password, owner=None)
    finally:
        session.execute(f"DROP USER IF EXISTS {account}")


class _Watchdog:
    """Ends a session that goes on after its time."""

    def __init__(self, session: Session, address: Address, seconds: float) -> None:
        self._session = session
        self._id = session.id
        self._address = address
        self._timer = threading.Timer(seconds, self.end_session)
        self._timer.daemon = True
        self._timer.start()

    def end_session(self) -> None:
        with suppress(Failure, WireError), connect(self._address) as session:
            session.execute(f"KILL {self._id}")
        self._session.cut()

    def stop(self) -> None:
        self._timer.cancel()
        self._timer.join()


def _ask(session: Session, assertion: Assertion) -> Check:
    if MARIADB in session.banner:
        session.execute(f"SET SESSION max_statement_time = {assertion.seconds}")
    else:
        milliseconds = max(1, round(assertion.seconds * 1000))
        session.execute(f"SET SESSION max_execution_time = {milliseconds}")
    session.execute("START TRANSACTION READ ONLY")
    began = time.monotonic()
    try:
        row = session.first_row(assertion.text.encode(errors="replace"))
    except (WireError, OSError) as error:
        return _stopped(assertion, error, time.monotonic() - began)
    if time.monotonic() - began >= assertion.seconds:
        return drill_answers.too_long(assertion)
    if row is None:
        return drill_answers.stopped(assertion, drill_answers.NO_ROW)
    if row[0] is None and _names_files(assertion):
        # Without the right to read files LOAD_FILE says nothing but NULL.
        return drill_answers.reaches_out(assertion, "LOAD_FILE reads a file of the server")
    return drill_answers.answered(assertion, row[0])


def _names_files(assertion: Assertion) -> bool:
    words = {word.upper() for _, word in tokens(assertion.text.encode(errors="replace"), 1 << 16)}
    return not words.isdisjoint(_FILES)


def _stopped(assertion: Assertion, error: Exception, seconds: float) -> Check:
    number, message = error_number(error), error_text(error)
    if number in _INTERRUPTED and seconds >= assertion.seconds:
        return drill_answers.too_long(assertion)
    if _names_files(assertion) and number in (*_FILE_REFUSED, *PRIVILEGE):
        return drill_answers.reaches_out(assertion, message)
    if number in _READ_ONLY or (number in PRIVILEGE and _WRITE.match(message)):
        return drill_answers.writes(assertion, message)
    if number in PRIVILEGE:
        return drill_answers.reaches_out(assertion, message)
    if number in (*_SYNTAX, *_UNKNOWN):
        return drill_answers.invalid(assertion, message)
    return drill_answers.fails(assertion, message)
