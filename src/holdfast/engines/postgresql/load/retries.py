"""Retries what pg_restore could not do, entry by entry, with the search path of the database's
users.

pg_restore works with an empty search path, so code that finds names by its users' path fails: in
generated columns, checks, indexes, materialised views. Here each statement is sent by itself, with
that path, after everything else is there; what fails now fails for good, and says why.
"""

import re
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import psycopg

from holdfast.contracts.engine import Skipped
from holdfast.domain.errors import ChildFailed
from holdfast.engines.postgresql.client import commands
from holdfast.engines.postgresql.client.address import Session, copy_rows
from holdfast.engines.postgresql.client.server_errors import statement_failure
from holdfast.engines.postgresql.client.tools import ToolSet
from holdfast.engines.postgresql.dump.archive import feed
from holdfast.engines.postgresql.dump.script import CommentLine, CopyRows, Script, Statement
from holdfast.engines.postgresql.load import failures, load_plan
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.memfile import file_of
from holdfast.kit.processes.process import PIPE, Child, Command, require_success, run

_HEADING = re.compile(r"TOC entry (\d+) ")
_PATH = re.compile(rb"SELECT pg_catalog\.set_config\('search_path'")
_EXISTS_ALREADY = frozenset({"42P06", "42P07", "42710", "42723", "42701"})
"""SQLSTATEs of objects that exist already: the first try may have made them."""
_SECOND_KEY = "42P16"
_UNIQUE = "23505"
_NO_TABLE_OF_ITS_OWN = "42809"
_ATTACH = re.compile(rb"\bATTACH PARTITION\b")
_KEY = re.compile(rb"\bPRIMARY KEY\b")
_LARGE_OBJECT = re.compile(rb"SELECT pg_catalog\.lo_create\(")
_REFRESH = re.compile(rb"REFRESH MATERIALIZED VIEW (.+)", re.DOTALL)
_UNKNOWN_SETTING = "42704"
_SERVER_TROUBLE = ("53", "57", "58")
"""Classes of SQLSTATEs about the server and not the object ..."""
_FILE_MISSING = "58P01"
"""... except a missing library of a function."""
_SCRIPT_SECONDS = 600


@dataclass(frozen=True)
class Archive:
    """`head` is a file with its front, which holds all but the data; `read` opens all of it."""

    head: str
    read: Callable[[], Generator[bytes]]


@dataclass(frozen=True)
class Retries:
    """Retries for one database, `name`, restored with `tools` and their `options`.

    `path` is the search path of its users; `rows` as in `Loading`; `say` writes to the operation's
    log.
    """

    tools: ToolSet
    name: str
    path: str
    options: Sequence[str]
    rows: Mapping[str, int]
    say: Callable[[str], None]

    def run(
        self, session: Session, archive: Archive, lines: Sequence[str], guard: Guard
    ) -> Sequence[Skipped]:
        """Returns the objects of `lines` that cannot be made, in their order.

        ChildFailed when data is missing that no comparison would notice.
        """
        session.execute("SELECT set_config('search_path', %s, false)", [self.path])
        attempt = _Attempt(session, guard)
        data = [line for line in lines if failures.is_data(line)]
        first = lines.index(data[0]) if data else len(lines)
        self._others(attempt, archive, [line for line in lines[:first] if line not in data])
        if data:
            with file_of(load_plan.text(data)) as list_file, closing(archive.read()) as chunks:
                self._stream(attempt, list_file, chunks, guard)
        self._others(attempt, archive, [line for line in lines[first:] if line not in data])
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
        """A failure outside of all known entries; at the beginning, of a setting, it is only
        logged."""
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
        """ChildFailed when data is missing of a table that is not compared with the dump."""
        lost: list[str] = []
        for line in lines:
            reason, _ = attempt.reasons[failures.number_of(line)]
            complaint = f"{failures.describe(line)} could not be loaded: {reason}"
            self.say(f"{self.name}: {complaint}")
            names = set(load_plan.names(line)) if load_plan.tables([line]) else set[str]()
            if not any(rows and load_plan.words(name) in names for name, rows in self.rows.items()):
                lost.append(complaint)
        if lost:
            raise ChildFailed(f"data of {self.name} is missing: {'; '.join(lost)}")


class _Attempt:
    """One try at statements and rows. `reasons`: why entries failed, each with its statement."""

    def __init__(self, session: Session, guard: Guard) -> None:
        self._session = session
        self._guard = guard
        self._number = failures.OUTSIDE
        self.reasons: dict[str, tuple[str, bytes]] = {}

    def carry_out(self, script: Script) -> None:
        for item in script.items():
            self._guard.check()
            match item:
                case CommentLine(text) if heading := _HEADING.match(text):
                    self._number = heading[1]
                case Statement(text) if not _PATH.match(text):
                    self._unless_failed(text, partial(self.execute, text))
                case CopyRows(text, chunks):
                    self._unless_failed(
                        text, lambda text=text, rows=chunks: copy_rows(self._session, text, rows)
                    )
                case _:
                    continue

    def execute(self, text: bytes) -> None:
        """Skips the refresh of a view that the first try has filled: it may take hours."""
        refresh = _REFRESH.fullmatch(text)
        if refresh is not None:
            row = self._session.execute(
                "SELECT relispopulated FROM pg_class WHERE oid = to_regclass(%s)",
                [refresh[1].decode()],
            ).fetchone()
            if row is not None and row[0]:
                return
        self._session.execute(text)

    def _unless_failed(self, text: bytes, act: Callable[[], object]) -> None:
        try:
            act()
        except psycopg.Error as error:
            self._guard.check()
            state = error.sqlstate or ""
            of_server = state.startswith(_SERVER_TROUBLE) and state != _FILE_MISSING
            if self._session.broken or of_server:
                raise statement_failure(error) from error
            exists_already = (
                state in _EXISTS_ALREADY
                or (state == _SECOND_KEY and _KEY.search(text) is not None)
                or (state == _NO_TABLE_OF_ITS_OWN and _ATTACH.search(text) is not None)
                or (state == _UNIQUE and _LARGE_OBJECT.match(text) is not None)
            )
            unknown_setting = state == _UNKNOWN_SETTING and text[:4].upper() == b"SET "
            if not exists_already and not unknown_setting:
                self.reasons.setdefault(self._number, (" ".join(str(error).split()), text))
