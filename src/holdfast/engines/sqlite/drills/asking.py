"""A program that answers one question about a file, run as a child that may be killed.

It is started as a file of its own, so it imports nothing of ours. Its standard input is a JSON
object with `path`, `text`, `seconds` and `unsafe`, the functions to refuse. It prints a JSON object
with the `value` of the answer, or with the `error` that stopped it and its `kind`: writes,
reaches-out, several, time, invalid or fails; a result without rows is of kind `no-row`.
"""

import json
import resource
import sqlite3
import sys
import threading
from typing import Any
from urllib.parse import quote

_MEMORY_BYTES = 1 << 30
_FILE_BYTES = 1 << 30  # sorting and recursion may use temporary files
_VALUE_BYTES = 64 << 20
_SHOWN_LENGTH = 1000
_READING_PRAGMAS = frozenset(
    (
        *("application_id", "collation_list", "data_version", "encoding", "foreign_key_check"),
        *("foreign_key_list", "function_list", "index_info", "index_list", "index_xinfo"),
        *("integrity_check", "page_count", "page_size", "quick_check", "schema_version"),
        *("table_info", "table_list", "table_xinfo", "user_version"),
    )
)
_TAKING_ARGUMENTS = frozenset(
    (
        *("foreign_key_check", "foreign_key_list", "index_info", "index_list", "index_xinfo"),
        *("integrity_check", "quick_check", "table_info", "table_list", "table_xinfo"),
    )
)


class _Judge:
    """The authorizer: refuses what leaves the file, and remembers what it refused first.

    Writes are refused by the session, which is read-only: a virtual table prepares its own when it
    is opened, and could not be read if they were refused here.
    """

    def __init__(self, unsafe: list[str]) -> None:
        self._unsafe = frozenset(unsafe)
        self.denied = ""

    def __call__(self, action: int, first: str | None, second: str | None, *_: object) -> int:
        kind = self._kind(action, (first or "").lower(), second)
        self.denied = self.denied or kind
        return sqlite3.SQLITE_DENY if kind else sqlite3.SQLITE_OK

    def _kind(self, action: int, first: str, second: str | None) -> str:
        if action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH):
            return "reaches-out"
        if action == sqlite3.SQLITE_FUNCTION:
            return "reaches-out" if (second or "").lower() in self._unsafe else ""
        if action == sqlite3.SQLITE_PRAGMA:
            reads = first in _READING_PRAGMAS and (second is None or first in _TAKING_ARGUMENTS)
            return "" if reads else "reaches-out"
        return ""


def answer(question: dict[str, Any]) -> dict[str, object]:
    """What the file answers to the question."""
    session = sqlite3.connect(
        f"file:{quote(question['path'])}?mode=ro",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
    )
    session.execute("PRAGMA query_only=ON")
    session.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _VALUE_BYTES)
    judge = _Judge(question["unsafe"])
    session.set_authorizer(judge)
    timer = threading.Timer(question["seconds"], session.interrupt)
    timer.daemon = True
    timer.start()
    try:
        row = session.execute(question["text"]).fetchone()
    except (sqlite3.Error, sqlite3.Warning, MemoryError, ValueError) as error:
        return {"kind": judge.denied or _kind(error, question["unsafe"]), "error": str(error)}
    finally:
        timer.cancel()
    if row is None:
        return {"kind": "no-row"}
    value = row[0][:_SHOWN_LENGTH] if isinstance(row[0], str | bytes) else row[0]
    return {"value": value.decode(errors="backslashreplace") if isinstance(value, bytes) else value}


def _kind(error: Exception, unsafe: list[str]) -> str:
    words = str(error)
    if "one statement at a time" in words:
        return "several"
    if words == "interrupted":
        return "time"
    if "readonly database" in words or "query_only" in words:
        return "writes"
    if any(f"no such function: {name}" in words for name in unsafe):
        return "reaches-out"
    code = getattr(error, "sqlite_errorcode", None)
    return "invalid" if code == sqlite3.SQLITE_ERROR else "fails"


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_BYTES, _FILE_BYTES))
    json.dump(answer(json.load(sys.stdin)), sys.stdout)


if __name__ == "__main__":
    main()
