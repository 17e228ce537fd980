"""Tells what each commit in archived WAL did, so that a person can pick the one to go back before.

`pg_waldump` of the server's own version prints the records, which are read as they come: nothing
but the counts of open transactions is kept. WAL knows files, not tables, so their names are noted
while the log is archived (`names`).
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from psycopg.errors import Error

from holdfast.contracts.archive import Change, Commit, FileNames, Log, TableChange
from holdfast.contracts.engine import Address
from holdfast.domain.errors import AddonRefused
from holdfast.engines.postgresql.client import tools
from holdfast.engines.postgresql.client.address import connect
from holdfast.engines.postgresql.client.server_errors import translated
from holdfast.engines.postgresql.client.tools import ToolSet
from holdfast.engines.postgresql.physical.following import show_lsn
from holdfast.engines.postgresql.physical.snapshot import parse_lsn
from holdfast.engines.postgresql.physical.wal_replay import (
    instant_of,
    instant_of_point,
    require_whole,
)
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.process import Child, Command

_MANAGERS = ("Heap", "Heap2", "Transaction", "Standby", "Database", "XLOG")
_SEVERAL_MANAGERS_SINCE = 15
_RECORD = re.compile(
    r"rmgr: (\w+) .*?tx: +(\d+), lsn: ([0-9A-F]+/[0-9A-F]+), .*?desc: (\w+)(?:\+INIT)? ?(.*)"
)
_FILE = re.compile(r"rel (\d+/(\d+)/(\d+))")
_TUPLES = re.compile(r"(?:ntuples: )?(\d+)")
_MOMENT = re.compile(r"(?:(\d+): )?(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.(\d+))? UTC")
_SUBTRANSACTIONS = re.compile(r"; subxacts: ([\d ]+)")
_REMOVED = re.compile(r"; rels: ([^;]*)")
_NEXT_NUMBER = re.compile(r"(?:nextXid |; xid \d+:)(\d+)")
_DATABASE = re.compile(r"\d+/(\d+)")
_DEFAULT_TABLESPACE = "1663"
_FIRST_OWN_FILE = 16384
_STATISTICS = {2619, 2840, 3429, 3430}
"""Catalogs that ANALYZE fills, and their long values: no definitions."""
_NUMBERS = 1 << 32

_RELATIONS = """
    SELECT coalesce(nullif(c.reltablespace, 0), d.dattablespace)::text || '/' || d.oid
        || '/' || pg_relation_filenode(c.oid),
        CASE WHEN c.relkind IN ('r', 'm') AND c.oid >= 16384
            THEN n.nspname || '.' || c.relname ELSE '' END
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_database d ON d.datname = current_database()
    WHERE c.relpersistence = 'p' AND pg_relation_filenode(c.oid) >= 16384
    ORDER BY c.oid DESC LIMIT 200000
"""


@dataclass
class _Open:
    """What a transaction did up to now; counts are inserted, updated and deleted rows by file."""

    counts: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    databases: list[str] = field(default_factory=list[str])
    defines: bool = False

    def add(self, other: "_Open") -> None:
        for file, counts in other.counts.items():
            mine = self.counts.setdefault(file, [0, 0, 0])
            mine[:] = [one + more for one, more in zip(mine, counts, strict=True)]
        self.databases += other.databases
        self.defines = self.defines or other.defines


def names(address: Address) -> FileNames:
    """The relations of every database that lets us in. The server may be busy: nothing is
    locked."""
    with translated(), connect(address) as session:
        rows = session.execute(
            "SELECT oid::text, datname, datallowconn AND NOT datistemplate FROM pg_database"
        ).fetchall()
    relations: dict[str, str] = {}
    for _, database, is_open in rows:
        if not is_open:
            continue
        with (
            suppress(AddonRefused, Error),
            translated(),
            connect(address, str(database)) as session,
        ):
            files = session.execute(_RELATIONS).fetchall()
            relations |= {str(path): str(name) for path, name in files}
    return FileNames({str(number): str(name) for number, name, _ in rows}, relations)


def changes(
    tools_dir: Path, version: str, log: Log, names_then: FileNames, guard: Guard
) -> Iterator[Change]:
    chosen = tools.server(tools_dir, version)
    for line, start, end in log.legs:
        reader = _Reader(names_then, log, line)
        for text in _records(chosen, log, (line, start, end), guard):
            change = reader.read(text)
            if change is not None and start <= change.commit.position < end:
                yield change


def _records(chosen: ToolSet, log: Log, leg: tuple[str, int, int], guard: Guard) -> Iterator[str]:
    line, start, end = leg
    bounds = ["-s", show_lsn(start), "-e", show_lsn(end), "-t", str(int(line, 16))]
    argv = [chosen.program("pg_waldump"), "-p", str(log.directory), *bounds]
    if chosen.major >= _SEVERAL_MANAGERS_SINCE:
        argv += [word for manager in _MANAGERS for word in ("-r", manager)]
    child = Child(Command(argv, env={**chosen.environment, "TZ": "UTC", "LC_ALL": "C"}, cwd="/"))
    release = guard.adopt(child.kill)
    try:
        with open(child.stdout.fileno(), "rb", closefd=False, buffering=1 << 16) as output:
            for raw in output:
                yield raw.decode(errors="replace")
        guard.check()
        finished = child.wait()
        if finished.status:
            require_whole(log, line, end, finished.stderr)
    finally:
        release()
        child.close()


class _Reader:
    """Reads records in order. Of transactions with a number below the first that a snapshot of the
    running ones names as the next, some may have begun before the log that is read."""

    def __init__(self, names_then: FileNames, log: Log, line: str) -> None:
        self._names = names_then
        self._log = log
        self._line = line
        self._open: dict[int, _Open] = {}
        self._next: int | None = None

    def read(self, text: str) -> Change | None:
        """What a commit did, or a named point; None for other records and for commits that did
        nothing."""
        match = _RECORD.match(text)
        if match is None:
            return None
        manager, number, lsn, kind, details = match.groups()
        transaction = int(number)
        if manager == "Transaction":
            return self.end(transaction, lsn, kind, details)
        if kind == "RESTORE_POINT":
            position = parse_lsn(lsn)
            instant = instant_of_point(self._log, self._line, position)
            return Change(Commit(position, instant, ""), [], point=details)
        if manager in ("Standby", "XLOG"):
            # In a snapshot of the running ones, and in a checkpoint.
            if self._next is None and (upcoming := _NEXT_NUMBER.search(details)):
                self._next = int(upcoming[1])
        elif transaction and manager in ("Heap", "Heap2"):
            self.count(self._open.setdefault(transaction, _Open()), kind, details)
        elif transaction and manager == "Database" and kind == "DROP":
            opened = self._open.setdefault(transaction, _Open())
            opened.databases += _DATABASE.findall(details)
        return None

    def count(self, opened: _Open, kind: str, details: str) -> None:
        rows = 1
        if kind == "INSERT":
            column = 0
        elif kind in ("UPDATE", "HOT_UPDATE"):
            column = 1
        elif kind == "DELETE":
            column = 2
        elif kind == "MULTI_INSERT":
            tuples = _TUPLES.match(details)
            column, rows = 0, int(tuples[1]) if tuples else 1
        else:
            return
        file = _FILE.search(details)
        if file is None:
            return
        if int(file[3]) < _FIRST_OWN_FILE:
            opened.defines = opened.defines or int(file[3]) not in _STATISTICS
            return
        opened.counts.setdefault(file[1], [0, 0, 0])[column] += rows

    def end(self, transaction: int, lsn: str, kind: str, details: str) -> Change | None:
        if kind not in ("COMMIT", "COMMIT_PREPARED", "ABORT", "ABORT_PREPARED"):
            return None
        moment = _MOMENT.search(details)
        if moment is not None and moment[1] is not None:  # prepared before, under this number
            transaction = int(moment[1])
        opened = self._open.pop(transaction, _Open())
        parts = _SUBTRANSACTIONS.search(details)
        for number in parts[1].split() if parts else ():
            opened.add(self._open.pop(int(number), _Open()))
        if moment is None or kind.startswith("ABORT"):
            return None
        removed = _REMOVED.search(details)
        tables = self._tables(opened, removed[1].split() if removed else ())
        if not tables and not opened.defines:
            return None
        is_whole = self._next is not None and (transaction - self._next) % _NUMBERS < _NUMBERS // 2
        commit = Commit(parse_lsn(lsn), instant_of(moment[2], moment[3]), str(transaction))
        return Change(commit, tables, defines=opened.defines, is_whole=is_whole)

    def _tables(self, opened: _Open, removed: Sequence[str]) -> list[TableChange]:
        """Tables by their file. Indexes and long values are parts of a table: left out."""
        removed_files = {_file_of(path) for path in removed}
        tables: list[TableChange] = []
        for file in dict.fromkeys([*opened.counts, *sorted(removed_files)]):
            _, database, number = file.split("/")
            table = self._names.relations.get(file, number)
            if table:
                counts = opened.counts.get(file, [0, 0, 0])
                shown = self._names.databases.get(database, database)
                tables.append(TableChange(shown, table, *counts, removed=file in removed_files))
        for number in opened.databases:
            shown = self._names.databases.get(number, number)
            tables.append(TableChange(shown, "*", removed=True))
        return tables


def _file_of(path: str) -> str:
    """`base/5/16388` and `pg_tblspc/16400/PG_15_202209061/5/16388` as records name a file."""
    words = path.split("/")
    tablespace = words[1] if words[0] == "pg_tblspc" else _DEFAULT_TABLESPACE
    return "/".join([tablespace, *words[-2:]])
