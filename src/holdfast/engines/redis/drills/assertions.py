"""Answers an assertion: one command, split into words as redis-cli does, by a user that only reads.

The user has the commands of the category `read` that are not dangerous, which leaves out scripts,
settings and KEYS. Only the first value of the answer is read, however long the rest is.
"""

import hashlib
import re
import secrets
import socket
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import IO

from redis import exceptions

from holdfast.contracts.drills import Assertion
from holdfast.contracts.engine import Address
from holdfast.domain.errors import AddonUnavailable
from holdfast.domain.evidence import Check
from holdfast.engines import drill_answers
from holdfast.engines.redis.client.address import (
    Session,
    client,
    database_number,
    plain_connection,
)
from holdfast.kit.processes.guard import Guard
from holdfast.kit.seal import Secret

ASKER = "holdfast_asker"
"""The user that asks; it exists while one assertion is answered."""

_RULES = ("~*", "resetchannels", "-@all", "+@read", "-@dangerous", "+select")
_WORD = re.compile(
    rb"""\s+|"(?P<double>(?:[^"\\]|\\.)*)"(?=\s|\Z)|'(?P<single>(?:[^'\\]|\\.)*)'(?=\s|\Z)"""
    rb"""|(?P<bare>[^\s"']+)(?=\s|\Z)""",
    re.DOTALL,
)
_ESCAPE = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}
_MAX_LINE_BYTES = 1 << 16
_MAX_VALUE_BYTES = 1 << 16
"""More of a value is not read: only whether it is true matters."""


def assert_true(address: Address, assertion: Assertion, guard: Guard) -> Check:
    words = split_words(assertion.text.encode(errors="replace"))
    if not words:
        return drill_answers.invalid(assertion, "it is no command, or a quote in it is not closed")
    if len(assertion.text.strip().splitlines()) > 1:
        return drill_answers.stopped(assertion, drill_answers.SEVERAL)
    if assertion.database is not None:
        address = replace(address, database=assertion.database)
    with client(address) as administrator, _asker(administrator, address) as asker_address:
        try:
            value = _ask(asker_address, words, assertion.seconds, guard)
        except _Refusal as refusal:
            return _refused(administrator, words, assertion, str(refusal))
        except TimeoutError:
            return drill_answers.too_long(assertion)
    if value is _NO_VALUE:
        return drill_answers.stopped(assertion, drill_answers.NO_VALUE)
    return drill_answers.answered(assertion, value)


def _ask(address: Address, words: Sequence[bytes], seconds: float, guard: Guard) -> object:
    """The first value of the answer. TimeoutError when it does not come in time."""
    connection = plain_connection(address)
    release = guard.adopt(lambda: _shut_down(connection))
    watchdog = _Watchdog(connection, seconds)
    try:
        return _Wire(connection).answer(address, words)
    except (OSError, EOFError) as error:
        guard.check()
        if watchdog.fired:
            raise TimeoutError from error
        raise AddonUnavailable(f"the server ended the connection: {error}") from error
    finally:
        release()
        watchdog.stop()
        connection.close()


def split_words(text: bytes) -> list[bytes]:
    """The words of a line, quoted as redis-cli wants it; none when it cannot be split."""

    def unescaped(match: re.Match[bytes]) -> bytes:
        return bytes.fromhex(match[1].decode()) if match[1] else _ESCAPED.get(match[2], match[2])

    words: list[bytes] = []
    position = 0
    while position < len(text):
        match = _WORD.match(text, position)
        if match is None:
            return []
        position = match.end()
        if match["double"] is not None:
            words.append(_ESCAPE.sub(unescaped, match["double"]))
        elif match["single"] is not None:
            words.append(match["single"].replace(b"\\'", b"'"))
        elif match["bare"] is not None:
            words.append(match["bare"])
    return words


@contextmanager
def _asker(session: Session, address: Address) -> Generator[Address]:
    """Yields the address of the user, who is deleted afterwards. The server gets a digest."""
    password = secrets.token_hex(24)
    digest = hashlib.sha256(password.encode()).hexdigest()
    session.ask("ACL SETUSER", ASKER, "reset", "on", f"#{digest}", *_RULES)
    try:
        yield replace(address, user=ASKER, password=Secret(password), owner=None)
    finally:
        # A server that is busy with the command answers late. What stays of the user is replaced
        # by the next one; its password is not kept.
        with suppress(exceptions.TimeoutError):
            session.ask("ACL DELUSER", ASKER)


class _Watchdog:
    """Ends a connection after its time. The server may go on with a command for a while."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection = connection
        self.fired = False
        self._timer = threading.Timer(seconds, self.fire)
        self._timer.daemon = True
        self._timer.start()

    def fire(self) -> None:
        self.fired = True
        _shut_down(self._connection)

    def stop(self) -> None:
        self._timer.cancel()
        self._timer.join()


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Refusal(Exception):
    """The server's error reply, without its leading minus."""


_NO_VALUE = object()
"""The first value of an empty list."""


class _Wire:
    """The protocol as far as one first value needs it; a client library reads whole answers."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(None)  # the watchdog ends it
        self._connection = connection
        self._file: IO[bytes] = connection.makefile("rb")

    def answer(self, address: Address, words: Sequence[bytes]) -> object:
        self.ask([b"AUTH", address.user.encode(), address.password.reveal().encode()])
        self.ask([b"SELECT", b"%d" % database_number(address)])
        return self.ask(words)

    def ask(self, words: Sequence[bytes]) -> object:
        request = b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
        self._connection.sendall(b"*%d\r\n%b" % (len(words), request))
        return self.first_value()

    def first_value(self) -> object:
        while True:
            line = self._file.readline(_MAX_LINE_BYTES)
            if not line.endswith(b"\n"):
                raise EOFError("it was closed")
            kind, rest = line[:1], line[1:].strip()
            match kind:
                case b"-":
                    raise _Refusal(rest.decode(errors="replace"))
                case b"+":
                    return rest
                case b":":
                    return int(rest)
                case b"$":
                    size = int(rest)
                    return None if size < 0 else self._file.read(min(size, _MAX_VALUE_BYTES))
                case b"*" if int(rest) < 1:
                    return None if int(rest) < 0 else _NO_VALUE
                case b"*":
                    continue  # the first value of a list is the next one
                case _:
                    raise _Refusal(f"a reply of an unknown type: {line[:20]!r}")


def _refused(
    administrator: Session, words: Sequence[bytes], assertion: Assertion, message: str
) -> Check:
    if not message.startswith("NOPERM") and "command not allowed" not in message:
        problem = message.partition(" ")[2] or message
        is_unknown = problem.startswith(("unknown command", "wrong number of arguments"))
        kind = drill_answers.invalid if is_unknown else drill_answers.fails
        return kind(assertion, problem)
    described = administrator.ask("COMMAND INFO", words[0].decode(errors="replace"))
    if described and described[0] and b"write" in described[0][2]:
        return drill_answers.writes(assertion, message)
    return drill_answers.reaches_out(assertion, message)
