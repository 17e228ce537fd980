"""Copies a running MariaDB by mariadb-backup, which reads the data directory.

Files stream through unpacked, so that each keeps its pages, together with the log that makes them
consistent. The log is applied when the copy is restored, before a server starts from it.
"""

import platform
import re
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from holdfast.contracts.archive import FILE_SPAN
from holdfast.contracts.engine import Address, Attempt
from holdfast.contracts.snapshots import LOG_POSITION, Cut, Piece
from holdfast.domain.errors import EvidenceMissing, NotSupported
from holdfast.engines.mysql.client import commands, facts, tools
from holdfast.engines.mysql.client.address import connect, option_file
from holdfast.engines.mysql.client.connection import Session
from holdfast.engines.mysql.client.disk import data_directory
from holdfast.engines.mysql.client.facts import Facts
from holdfast.engines.mysql.client.server_errors import translated
from holdfast.engines.mysql.client.tools import MARIADB, ToolSet, series
from holdfast.engines.mysql.physical import binlog
from holdfast.engines.mysql.physical.mbstream import MbStream
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.process import Child, require_success
from holdfast.kit.rate_limit import Pace
from holdfast.kit.read_ahead import ReadAhead

DATA = "data"
NOTE_PREFIXES = ("mariadb_backup_", "xtrabackup_")
"""Prefixes of the tool's own files: since MariaDB 11.1, and before."""
CHECKPOINTS = "checkpoints"
SUCCESS_LINE = "completed OK!"

_LOCKED_LINE, _UNLOCKED_LINE = "BACKUP STAGE BLOCK", "All tables unlocked"

_PRIVILEGES = ("RELOAD", "PROCESS", "LOCK TABLES")
_PAGED_SUFFIXES = (".ibd", ".MAD", ".MAI", ".MYD", ".MYI")
_PAGED_NAMES = re.compile(r"ibdata\d+|undo\d+|ib_logfile\d+")
_MAX_NOTE_BYTES = 1 << 16


class Capture:
    """One copy in progress; `facts` exist when `pieces` have been read to their end."""

    def __init__(
        self,
        address: Address,
        child: Child,
        output: ReadAhead,
        tool_set: ToolSet,
        server: Facts,
        pace: Pace,
    ) -> None:
        self._address = address
        self._child = child
        self._output = output
        self._tools = tool_set
        self._server = server
        self._pace = pace
        self._stream = MbStream(self._read)
        self._notes: dict[str, bytes] = {}
        self.facts: Mapping[str, Any] = {}

    def _read(self, size: int) -> bytes:
        data = self._output.read(min(size, self._pace.portion))
        self._pace.moved(len(data))
        return data

    def pieces(self) -> Iterator[Piece]:
        yield _directory(DATA)
        folders: set[str] = set()
        for path, chunks in self._stream.files_in():
            folder = path.rpartition("/")[0]
            if folder and folder not in folders:
                folders.add(folder)
                yield _directory(f"{DATA}/{folder}")
            paged = path.endswith(_PAGED_SUFFIXES) or _PAGED_NAMES.fullmatch(path) is not None
            yield Piece(
                f"{DATA}/{path}",
                0o660,
                0,
                directory=False,
                target="",
                cut=Cut.PAGES if paged else Cut.WHOLE,
                chunks=self._with_notes(path, chunks),
            )
        self._finish()

    def _with_notes(self, path: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Keeps the tool's own notes, small files that describe the copy, while they pass."""
        for chunk in chunks:
            if path.startswith(NOTE_PREFIXES) and len(chunk) < _MAX_NOTE_BYTES:
                self._notes[path] = self._notes.get(path, b"") + chunk
            yield chunk

    def _note(self, name: str) -> str:
        """The text of a note; empty when the tool wrote none."""
        notes = (
            self._notes[prefix + name] for prefix in NOTE_PREFIXES if prefix + name in self._notes
        )
        return next(notes, b"").decode(errors="replace")

    def _finish(self) -> None:
        finished = require_success(self._child.wait())
        if not finished.stderr.rstrip().endswith(SUCCESS_LINE):
            raise EvidenceMissing(f"mariadb-backup did not say {SUCCESS_LINE!r}")
        lines = [line.partition("=") for line in self._note(CHECKPOINTS).splitlines()]
        checkpoints = {key.strip(): value.strip() for key, mark, value in lines if mark}
        if checkpoints.get("backup_type") != "full-backuped":
            raise EvidenceMissing(f"the copy is not a full one: {checkpoints}")
        if self._stream.files == 0 or not checkpoints.get("last_lsn"):
            raise EvidenceMissing("the copy does not say which log makes it consistent")
        self.facts = {
            "flavour": MARIADB,
            "version": self._server["version"],
            "series": series(self._server["version"]),
            "tool": self._tools.version,
            "machine": platform.machine(),
            "files": self._stream.files,
            "bytes": self._stream.bytes,
            "checkpoints": checkpoints,
            "binaryLog": self._note("binlog_info"),
            "processes": [finished.fact()],
            "proven": {
                "mariadb-backup": f"it said {SUCCESS_LINE!r} and exited with 0",
                "checksums of the copy": f"{self._stream.files} files,"
                f" {self._stream.bytes} bytes, each chunk has its checksum",
                "log of the copy": f"from {checkpoints.get('to_lsn')} to {checkpoints['last_lsn']}",
            },
        }
        position = log_position(self._address, self._note("binlog_info"))
        if position is not None:
            self.facts = {**self.facts, LOG_POSITION: position}


def log_position(address: Address, note: str) -> dict[str, object] | None:
    """Where in the server's binary log its copy is; None if it keeps none that we can read.

    `note` is the tool's: file, offset, and the GTIDs up to there.
    """
    words = note.split()
    if len(words) < 2 or not words[1].isdecimal():
        return None
    with translated(), connect(address) as session:
        base = str(session.value("SELECT @@log_bin_basename"))
        instant = int(session.value("SELECT ceil(unix_timestamp(sysdate(6)) * 1000)"))
    gtids = words[2] if len(words) > 2 else ""
    try:
        name, number = binlog.split_name(words[0])
        source = binlog.source_of(Path(base).with_name(words[0]))
    except (EvidenceMissing, OSError):
        return None
    return {
        "source": source,
        "line": name,
        "end": number * FILE_SPAN + int(words[1]),
        "instant": instant,
        "gtids": gtids,
    }


def _directory(path: str) -> Piece:
    return Piece(path, 0o700, 0, directory=True, target="", cut=Cut.WHOLE, chunks=iter(()))


@contextmanager
def capture(
    tools_dir: Path, address: Address, attempt: Attempt, guard: Guard, rate: int | None
) -> Generator[Capture]:
    """Begins a copy. NotSupported says what the server, this machine or the user lacks."""
    with translated(guard), connect(address) as session:
        server = facts.server(session)
        tool_set, data = require_possible(tools_dir, address, session)
    attempt.say(f"copying {data} with mariadb-backup {tool_set.version}")
    locked = threading.Event()

    def follow_locks(line: str) -> bool:
        """Reads fast while commits wait: that must not last as long as a slow store takes."""
        if _LOCKED_LINE in line:
            locked.set()
        elif _UNLOCKED_LINE in line:
            locked.clear()
        return False

    command = commands.backup(tool_set, option_file(address), data)
    child = Child(command, hear=follow_locks)
    output = ReadAhead(child.stdout.read, hurry=locked)
    release = guard.adopt(child.kill)
    try:
        with translated(guard):
            yield Capture(address, child, output, tool_set, server, Pace(rate, guard.wait))
    finally:
        release()
        child.kill()
        output.close()
        child.close()


def require_possible(tools_dir: Path, address: Address, session: Session) -> tuple[ToolSet, Path]:
    """Tools that copy this server, and its data directory. NotSupported says what is missing."""
    server, directory = facts.server(session), data_directory(session, address)
    privileges = facts.privileges(session)
    if server["flavour"] != MARIADB:
        raise NotSupported(
            f"no snapshots of {server['flavour']} {server['version']}: Holdfast has no physical"
            " backup tool for it; take dumps"
        )
    if directory is None:
        raise NotSupported(
            "no snapshots of this server: it does not run on this machine, and mariadb-backup"
            " reads the server's files; take dumps, or run a worker there"
        )
    missing = [privilege for privilege in _PRIVILEGES if privilege not in privileges]
    if missing:
        raise NotSupported(
            f"no snapshots of this server: the user lacks {', '.join(missing)} on *.*"
        )
    server_series = series(server["version"])
    for tool_set in tools.installed(tools_dir):
        if tool_set.backup is not None and tool_set.series == server_series:
            try:
                next(directory.iterdir(), None)
            except PermissionError as error:
                raise NotSupported(
                    f"no snapshots of this server: {directory} cannot be read by this worker"
                ) from error
            return tool_set, directory
    raise NotSupported(
        f"no snapshots of MariaDB {server_series}: mariadb-backup {server_series} is not installed"
        " (apt-get install mariadb-backup)"
    )
