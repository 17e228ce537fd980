"""Answers an assertion: one reading command in Extended JSON, by a user that reads one database.

Allowed are `find`, `aggregate`, `count` and `distinct`, without JavaScript. The user has the role
`read` and exists while one assertion is answered, so the server itself refuses what writes or
reaches for other databases, settings and files.
"""

import secrets
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, cast

from bson import json_util
from bson.code import Code
from bson.errors import BSONError
from pymongo.errors import NetworkTimeout

from holdfast.contracts.drills import Assertion
from holdfast.contracts.engine import Address
from holdfast.domain.evidence import Check
from holdfast.engines import drill_answers
from holdfast.engines.mongodb.client.connection import Connection, WireError, connect
from holdfast.engines.mongodb.client.server_errors import (
    UNAUTHORIZED,
    error_code,
    error_text,
    translated,
)
from holdfast.kit.processes.guard import Guard
from holdfast.kit.seal import Secret

ASKER = "holdfast_asker"
"""The user that asks."""

_COMMANDS = ("find", "aggregate", "count", "distinct")
_WRITING = ("insert", "update", "delete", "findAndModify", "drop", "create", "createIndexes")
_CODE_KEYS = ("$where", "$function", "$accumulator", "$code")
_WRITING_KEYS = ("$out", "$merge")
_OUR_KEYS = ("maxTimeMS", "$db", "lsid", "txnNumber", "readConcern", "writeConcern")
_TIMED_OUT = (50, 262, 11601)
_INVALID = (2, 9, 14, 40, 59, 168, 40324)
_GRACE_SECONDS = 5.0


def assert_true(address: Address, assertion: Assertion, guard: Guard) -> Check:
    try:
        loaded: Any = json_util.loads(assertion.text)
    except (ValueError, TypeError, BSONError) as error:
        return drill_answers.invalid(assertion, f"it is no Extended JSON: {error}")
    refusal = _refusal(assertion, loaded)
    if refusal is not None:
        return refusal
    command = cast("dict[str, Any]", loaded)
    database = assertion.database or address.database
    limits = {"maxTimeMS": max(1, int(assertion.seconds * 1000))}
    if next(iter(command)) == "aggregate":
        limits |= {"cursor": {"batchSize": 1}}
    seconds = assertion.seconds + _GRACE_SECONDS
    with (
        translated(address, guard),
        connect(address) as administrator,
        _asker(administrator, address, database) as asker_address,
        connect(asker_address, seconds) as connection,
    ):
        release = guard.adopt(connection.cut)
        try:
            reply = connection.command(database, {**command, **limits})
        except NetworkTimeout:
            return drill_answers.too_long(assertion)
        except WireError as error:
            guard.check()
            if not error_code(error):
                raise
            return _failed(assertion, error)
        finally:
            release()
    return _answer(assertion, reply)


def _refusal(assertion: Assertion, command: object) -> Check | None:
    """Refuses what is no single reading command before it reaches the server."""
    if isinstance(command, list):
        return drill_answers.stopped(assertion, drill_answers.SEVERAL)
    if not isinstance(command, dict) or not command:
        return drill_answers.invalid(assertion, "it is no document with a command")
    keys = list(keys_of(cast("object", command)))
    first = keys[0]
    writing = [first] if first in _WRITING else [key for key in keys if key in _WRITING_KEYS]
    if writing:
        return drill_answers.writes(assertion, f"it has {writing[0]}")
    code = [key for key in keys if key in _CODE_KEYS]
    if code:
        return drill_answers.reaches_out(assertion, f"{code[0]} runs JavaScript on the server")
    settings = [key for key in _OUR_KEYS if key in command]
    reason = f"{settings[0]} is not the assertion's to set" if settings else ""
    if first not in _COMMANDS:
        reason = f"its command is {first}: an assertion is one of {', '.join(_COMMANDS)}"
    return drill_answers.stopped(assertion, reason) if reason else None


def keys_of(value: object) -> Generator[str]:
    """Every key of a document at any depth, outermost first; code counts as `$code`."""
    if isinstance(value, Code):
        yield "$code"
    elif isinstance(value, Mapping):
        for key, inner in cast("Mapping[str, object]", value).items():
            yield key
            yield from keys_of(inner)
    elif isinstance(value, list):
        for inner in cast("list[object]", value):
            yield from keys_of(inner)


@contextmanager
def _asker(administrator: Connection, address: Address, database: str) -> Generator[Address]:
    """Yields the address of the user, who is dropped afterwards."""
    password = secrets.token_hex(24)
    with suppress(WireError):  # left by a worker that was killed
        administrator.command("admin", {"dropUser": ASKER})
    roles = [{"role": "read", "db": database}]
    administrator.command("admin", {"createUser": ASKER, "pwd": password, "roles": roles})
    try:
        yield replace(address, user=ASKER, password=Secret(password), owner=None)
    finally:
        with suppress(WireError):  # the next one replaces it; its password is not kept
            administrator.command("admin", {"dropUser": ASKER})


def _answer(assertion: Assertion, reply: Mapping[str, Any]) -> Check:
    """Judges the first value: `n`, the first of `values`, or that of the first document, in which
    `_id` counts when there is nothing else."""
    if "n" in reply:
        return drill_answers.answered(assertion, reply["n"])
    values: Sequence[object] = reply.get("values") or []
    if "cursor" in reply:
        documents: Sequence[Mapping[str, object]] = reply["cursor"]["firstBatch"]
        if not documents:
            return drill_answers.stopped(assertion, drill_answers.NO_ROW)
        first = documents[0]
        values = [first[key] for key in first if key != "_id"] or list(first.values())
    if not values:
        return drill_answers.stopped(assertion, drill_answers.NO_VALUE)
    return drill_answers.answered(assertion, values[0])


def _failed(assertion: Assertion, error: WireError) -> Check:
    code, words = error_code(error), error_text(error)
    if code in _TIMED_OUT:
        return drill_answers.too_long(assertion)
    if code == UNAUTHORIZED:
        return drill_answers.reaches_out(assertion, words)
    if code in _INVALID:
        return drill_answers.invalid(assertion, words)
    return drill_answers.fails(assertion, words)
