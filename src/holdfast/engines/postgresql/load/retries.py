"""Tries once more what pg_restore could not do, entry by entry, as the database's users would.

pg_restore works with an empty search path. Code that finds things by the path its users have fails
then: in generated columns, checks, indexes, materialised views. Here each statement is sent by
itself, with that path, after everything else is there; what fails now fails for good, and says why.
"""

import re
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import psycopg

from holdfast.contracts.engine import Skipped
from holdfast.domain.errors import ChildFailed
from holdfast.engines.postgresql.client import commands
from holdfast.engines.postgresql.client.address import Session
from holdfast.engines.postgresql.client.server_errors import of_statement
from holdfast.engines.postgresql.client.tools import ToolSet
from holdfast.engines.postgresql.dump.archive import feed
from holdfast.engines.postgresql.dump.script import Remark, Rows, Script, Statement
from holdfast.engines.postgresql.load import failures, load_plan
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.memfile import file_of
from holdfast.kit.processes.process import PIPE, Child, Command, require_success, run

_HEADING = re.compile(r"TOC entry (\d+) ")
_PATH = re.compile(rb"SELECT pg_catalog\.set_config\('search_path'")
_THERE = frozenset({"42P06", "42P07", "42710", "42723", "42701"})
"""States of errors that say: this is there already. The first try may have done a part."""
_SECOND_KEY = "42P16"
_NO_TABLE_OF_ITS_OWN = "42809"
_ATTACH = re.compile(rb"\bATTACH PARTITION\b")
_KEY = re.compile(rb"\bPRIMARY KEY\b")
_REFRESH = re.compile(rb"REFRESH MATERIALIZED VIEW (.+)", re.DOTALL)
_UNKNOWN_SETTING = "42704"
_NO_ROOM = ("53", "57", "58")
"""Classes of states that tell of the server and not of the object ..."""
_FILE_MISSING = "58P01"
"""... but for the library of a function."""
_SCRIPT_SECONDS = 600


@dataclass(frozen=True)
class Archive:
    """`head` is a file with its front, which has all that is no data; `read` opens all of it."""

    head: str
    read: Callable[[], Generator[bytes]]


@dataclass(frozen=True)
class Retrying:
    """For one database, `name`, restored with `tools` and their `options`; `path` is the search
    path of its users. `rows` as in `Loading`; `say` writes to the operation's log."""

    tools: ToolSet
    name: str
    path: str
    options: Sequence[str]
    rows: Mapping[str, int]
    say: Callable[[str], None]

    def run(
        self, session: Session, archive: Archive, lines: Sequence[str], guard: Guard
    ) -> Sequence[Skipped]:
        """What of these `lines` cannot be made, in their order. ChildFailed where that is data
        which no comparison would miss."""
        session.execute("SELECT set_config('search_path', %s, false)", [self.path])
        attempt = _Attempt(session, guard)
        data = [line for line in lines if failures.is_data(line)]
        first = lines.index(data[0]) if data else len(lines)
        self._others(attempt, archive, [x for x in lines[:first] if x not in data])
        if data:
            with file_of(load_plan.text(data)) as list_file, closing(archive.read()) as chunks:
                self._stream(attempt, list_file, chunks, guard)
        self._others(attempt, archive, [x for x in lines[first:] if x not in data])
        failed = [line for line in lines if failures.number_of(line) in attempt.reasons]
        self._require_comparable(attempt, [line for line in failed if line in data])
        return [
            item
            for line in failed
            if line not in data
            for item in failures.skipped(
                self.name, line, *attempt.reasons[failures.number_of(line)]
            )
        ]

    def unknown(self, number: str, reason: str) -> Sequence[Skipped]:
        """What failed outside of any entry that is known here: at the beginning, a setting."""
        if number == failures.OUTSIDE:
            self.say(f"{self.name}: {reason}")
            return []
        return [Skipped(self.name, "", f"entry {number} of the archive", reason)]

    def _others(self, attempt: "_Attempt", archive: Archive, lines: Sequence[str]) -> None:
        if lines:
            with file_of(load_plan.text(lines)) as list_file:
                script = self._script(list_file, archive.head)
                text = require_success(run(script, timeout=_SCRIPT_SECONDS)).stdout
            attempt.carry_out(Script(iter([text])))

    def _stream(
        self, attempt: "_Attempt", list_file: str, chunks: Iterator[bytes], guard: Guard
    ) -> None:
        child = Child(self._script(list_file), stdin=PIPE)
        release = guard.adopt(child.kill)
        trouble: list[BaseException] = []
        feeder = threading.Thread(target=feed, args=(child, chunks, trouble), daemon=True)
        try:
            feeder.start()
            attempt.carry_out(Script(iter(lambda: child.stdout.read(1 << 18), b"")))
            finished = child.wait()
            feeder.join()
        finally:
            release()
            child.close()
        if trouble:
            raise trouble[0]
        require_success(finished)

    def _script(self, list_file: str, *archive: str) -> Command:
        return commands.pg_restore_script_of(self.tools, list_file, *self.options, *archive)

    def _require_comparable(self, attempt: "_Attempt", lines: Sequence[str]) -> None:
        """Rows that are missing show when tables are compared; what is not compared must be in."""
        lost: list[str] = []
        for line in lines:
            reason, _ = attempt.reasons[failures.number_of(line)]
            complaint = f"{failures.described(line)} could not be loaded: {reason}"
            self.say(f"{self.name}: {complaint}")
            if not any(self.rows.get(name) for name in self._tables(line)):
                lost.append(complaint)
        if lost:
            raise ChildFailed(f"data of {self.name} is missing: {'; '.join(lost)}")

    def _tables(self, line: str) -> Sequence[str]:
        """What the table may be called in the inventory whose data this is."""
        words = set(load_plan.names(line)) if load_plan.tables([line]) else set[str]()
        return [name for name in self.rows if load_plan.words(name) in words]


class _Attempt:
    """One try at statements and rows. `reasons`: of entries that failed, and the statement."""

    def __init__(self, session: Session, guard: Guard) -> None:
        self._session = session
        self._guard = guard
        self._number = failures.OUTSIDE
        self.reasons: dict[str, tuple[str, bytes]] = {}

    def carry_out(self, script: Script) -> None:
        for item in script.items():
            self._guard.check()
            match item:
                case Remark(text) if heading := _HEADING.match(text):
                    self._number = heading[1]
                case Statement(text) if not _PATH.match(text):
                    self._unless_failed(text, lambda text=text: self._execute(text))
                case Rows(text, chunks):
                    self._unless_failed(text, lambda text=text, rows=chunks: self._copy(text, rows))
                case _:
                    continue

    def _execute(self, text: bytes) -> None:
        """What may have been filled by the first try is not filled again: that may take hours."""
        refresh = _REFRESH.fullmatch(text)
        if refresh is None or not self._is_filled(refresh[1]):
            self._session.execute(text)

    def _is_filled(self, view: bytes) -> bool:
        row = self._session.execute(
            "SELECT relispopulated FROM pg_class WHERE oid = to_regclass(%s)", [view.decode()]
        ).fetchone()
        return row is not None and bool(row[0])

    def _copy(self, text: bytes, chunks: Iterator[bytes]) -> None:
        with self._session.cursor() as cursor, cursor.copy(text) as copy:
            for chunk in chunks:
                copy.write(chunk)

    def _unless_failed(self, text: bytes, act: Callable[[], object]) -> None:
        try:
            act()
        except psycopg.Error as error:
            self._guard.check()
            state = error.sqlstate or ""
            of_server = state.startswith(_NO_ROOM) and state != _FILE_MISSING
            if self._session.broken or of_server:
                raise of_statement(error) from error
            if not _is_harmless(state, text):
                self.reasons.setdefault(self._number, (" ".join(str(error).split()), text))


def _is_harmless(state: str, text: bytes) -> bool:
    return (
        state in _THERE
        or (state == _SECOND_KEY and _KEY.search(text) is not None)
        or (state == _NO_TABLE_OF_ITS_OWN and _ATTACH.search(text) is not None)
        or (state == _UNKNOWN_SETTING and text[:4].upper() == b"SET ")
    )
