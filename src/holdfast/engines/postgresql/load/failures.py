"""Collects the entries of an archive that pg_restore could not carry out, and names them.

Without --exit-on-error pg_restore goes on after an error and says which entry it was at. With
several sessions (--jobs) it does not say that, so any of its entries may have failed; each is tried
again by itself: see `retries`.
"""

import re
import threading
from collections.abc import Callable, Mapping, Sequence

from holdfast.contracts.engine import Skipped
from holdfast.kit.processes.process import Finished, require_success

_CONTEXT = re.compile(r"pg_restore: from TOC entry (\d+); ")
_STAGE = re.compile(r"pg_restore: while (INITIALIZING|FINALIZING|PROCESSING TOC):")
_ERROR = "pg_restore: error: "
_WENT_ON = "pg_restore: warning: errors ignored on restore: "
_CONNECTION_LOST = (
    "server closed the connection",
    "no connection to the server",
    "terminating connection",
    "could not receive data from server",
    "could not send data to server",
    "connection has been closed unexpectedly",
)
OUTSIDE = ""
"""The number of statements of no entry, such as settings at the beginning."""
_UNNAMED = "any"
"""The number of an entry that the message does not name."""

_ENTRY = re.compile(r"^(\d+); \d+ \d+ (.+)$")
_DATA = ("TABLE DATA ", "BLOBS ", "BLOB ", "SEQUENCE SET ")

_KINDS: Mapping[str, str] = {
    "MATERIALIZED VIEW DATA": "",
    "MATERIALIZED VIEW": "materialized views",
    "FOREIGN TABLE": "foreign tables",
    "EVENT TRIGGER": "event triggers",
    "CHECK CONSTRAINT": "constraints",
    "FK CONSTRAINT": "constraints",
    "SEQUENCE OWNED BY": "",
    "TABLE ATTACH": "",
    "INDEX ATTACH": "",
    "FOREIGN DATA WRAPPER": "",
    "USER MAPPING": "",
    "ROW SECURITY": "",
    "DEFAULT ACL": "",
    "TEXT SEARCH CONFIGURATION": "",
    "TEXT SEARCH DICTIONARY": "",
    "OPERATOR CLASS": "",
    "OPERATOR FAMILY": "",
    "ACCESS METHOD": "",
    "PUBLICATION TABLE": "",
    "SECURITY LABEL": "",
    "CONSTRAINT": "constraints",
    "TABLE": "tables",
    "VIEW": "views",
    "INDEX": "indexes",
    "TRIGGER": "triggers",
    "FUNCTION": "functions",
    "PROCEDURE": "functions",
    "AGGREGATE": "functions",
    "SEQUENCE": "sequences",
    "EXTENSION": "extensions",
    "SCHEMA": "schemas",
    "POLICY": "policies",
    "DOMAIN": "types",
    "TYPE": "types",
    **dict.fromkeys(
        ("PROCEDURAL LANGUAGE", "SERVER", "OPERATOR", "COLLATION", "CONVERSION", "STATISTICS"), ""
    ),
    **dict.fromkeys(("CAST", "TRANSFORM", "RULE", "DEFAULT", "PUBLICATION", "SUBSCRIPTION"), ""),
}
"""The type of an entry in lists, and the kind it is counted as."""
_LABELS = {
    "MATERIALIZED VIEW DATA": "rows of materialized view",
    "TABLE DATA": "data of table",
}


class Failures:
    """The entries that failed in the runs that load one database."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reasons: dict[str, str] = {}

    def take(self) -> Mapping[str, str]:
        """The reasons of the failures so far, by number of their entry; forgets them."""
        with self._lock:
            reasons, self._reasons = self._reasons, {}
        return reasons

    def add(self, reasons: Mapping[str, str]) -> None:
        with self._lock:
            self._reasons = {**reasons, **self._reasons}


class ErrorListener:
    """Collects the errors of one run of pg_restore for `lines` of its list.

    `also` gets each line of its output, and returns whether the line is no complaint.
    """

    def __init__(
        self,
        failures: Failures,
        lines: Sequence[str],
        also: Callable[[str], bool] | None = None,
    ) -> None:
        self._failures = failures
        self._lines = lines
        self._also = also
        self._number = _UNNAMED
        self._reasons: dict[str, str] = {}
        self._speaking = False
        self._went_on = False

    def hear(self, line: str) -> bool:
        entry, stage = _CONTEXT.match(line), _STAGE.match(line)
        if entry is not None or stage is not None:
            self._number, self._speaking = (OUTSIDE if entry is None else entry[1]), False
        elif line.startswith(_ERROR):
            self._speaking = self._number not in self._reasons
            self._reasons.setdefault(self._number, line.removeprefix(_ERROR))
        elif line.startswith("pg_restore: "):
            self._went_on = self._went_on or line.startswith(_WENT_ON)
            self._speaking = False
        elif self._speaking and not line.startswith("Command was:"):
            self._reasons[self._number] += f" {line}"
        else:
            self._speaking = False
        return self._also is not None and self._also(line)

    def judge(self, finished: Finished) -> None:
        """ChildFailed when the run did not come to its end."""
        complaints = " ".join(self._reasons.values())
        if (
            finished.status != 1
            or not self._went_on
            or any(words in complaints for words in _CONNECTION_LOST)
        ):
            require_success(finished)
        unnamed = self._reasons.pop(_UNNAMED, None)
        if unnamed is not None:
            self._failures.add({number_of(line): unnamed for line in self._lines})
        self._failures.add(self._reasons)


def number_of(line: str) -> str:
    """The number of the entry of a line of pg_restore's list."""
    entry = _ENTRY.match(line)
    return OUTSIDE if entry is None else entry[1]


def is_data(line: str) -> bool:
    """Is the entry rows, large objects, or the value of a sequence? These are never skipped."""
    entry = _ENTRY.match(line)
    return entry is not None and entry[2].startswith(_DATA)


def skipped(database: str, line: str, reason: str, statement: bytes = b"") -> Sequence[Skipped]:
    """The objects that are missing without that entry. A constraint may also be an index."""
    text = _text(line)
    entry_type = next((kind for kind in _KINDS if text.startswith(f"{kind} ")), "")
    kind = _KINDS.get(entry_type, "")
    if entry_type == "TYPE" and re.search(rb"\bAS \(", statement):
        kind = "composite types"
    name = _readable_name(entry_type, text)
    objects = [Skipped(database, kind, name, reason)]
    if entry_type == "CONSTRAINT":
        objects.append(Skipped(database, "indexes", f"index of {name}", reason))
    return objects


def describe(line: str) -> str:
    """For people, such as `data of table public.t`."""
    return _readable_name("TABLE DATA", _text(line)) if "TABLE DATA " in line else _text(line)


def _text(line: str) -> str:
    entry = _ENTRY.match(line)
    return line if entry is None else entry[2]


def _readable_name(entry_type: str, text: str) -> str:
    """The name in `VIEW public v owner`, without the owner; `-` is no schema."""
    rest = text.removeprefix(entry_type).strip() if entry_type else text
    words = rest.rsplit(" ", 1)[0].removeprefix("- ")
    label = _LABELS.get(entry_type, entry_type.lower())
    return f"{label} {words.replace(' ', '.', 1) if entry_type else words}".strip()
