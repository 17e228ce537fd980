"""A physical copy of a running MariaDB by mariadb-backup, which reads the data directory.

Files stream through unpacked, so that each keeps its pages; the log that makes them consistent
comes with them. It is applied when the copy is restored, before a server starts from it.
"""

import platform
import re
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from holdfast.contracts.engine import Address, Attempt
from holdfast.contracts.snapshots import Cut, Piece
from holdfast.domain.errors import EvidenceMissing, NotSupported
from holdfast.engines.mysql.client import facts, tools
from holdfast.engines.mysql.client.address import connect, option_file
from holdfast.engines.mysql.client.disk import data_directory
from holdfast.engines.mysql.client.facts import Facts
from holdfast.engines.mysql.client.server_errors import translated
from holdfast.engines.mysql.client.tools import MARIADB, ToolSet, series
from holdfast.engines.mysql.physical.mbstream import MbStream
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.process import PRIVATE, Child, Command, require_success
from holdfast.kit.rate_limit import Pace
from holdfast.kit.read_ahead import ReadAhead

DATA = "data"
NOTES = ("mariadb_backup_", "xtrabackup_")
"""How the names of the tool's own files begin: since MariaDB 11.1, and before."""
CHECKPOINTS = "checkpoints"
DONE = "completed OK!"

_LOCKS, _UNLOCKED = "BACKUP STAGE BLOCK", "All tables unlocked"

_NEEDS = ("RELOAD", "PROCESS", "LOCK TABLES")
_PAGES = (".ibd", ".MAD", ".MAI", ".MYD", ".MYI")
_PAGED = re.compile(r"ibdata\d+|undo\d+|ib_logfile\d+")
_SMALL = 1 << 16


class Capture:
    """One copy in progress: read `pieces` to their end, then there are `facts`."""

    def __init__(
        self, child: Child, output: ReadAhead, chosen: ToolSet, server: Facts, pace: Pace
    ) -> None:
        self._child = child
        self._output = output
        self._tools = chosen
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
            yield _file(path, self._noted(path, chunks))
        self._finish()

    def _noted(self, path: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The tool's own notes are small and say what the copy is."""
        for chunk in chunks:
            if path.startswith(NOTES) and len(chunk) < _SMALL:
                self._notes[path] = self._notes.get(path, b"") + chunk
            yield chunk

    def _note(self, name: str) -> str:
        """Empty when the tool wrote none."""
        notes = (self._notes[prefix + name] for prefix in NOTES if prefix + name in self._notes)
        return next(notes, b"").decode(errors="replace")

    def _finish(self) -> None:
        finished = require_success(self._child.wait())
        if not finished.stderr.rstrip().endswith(DONE):
            raise EvidenceMissing(f"mariadb-backup did not say {DONE!r}")
        checkpoints = _checkpoints(self._note(CHECKPOINTS))
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
                "mariadb-backup": f"it said {DONE!r} and exited with 0",
                "checksums of the copy": f"{self._stream.files} files,"
                f" {self._stream.bytes} bytes, each chunk has its checksum",
                "log of the copy": f"from {checkpoints.get('to_lsn')} to {checkpoints['last_lsn']}",
            },
        }


def _checkpoints(text: str) -> dict[str, str]:
    lines = [line.partition("=") for line in text.splitlines() if "=" in line]
    return {key.strip(): value.strip() for key, _, value in lines}


def _directory(path: str) -> Piece:
    return Piece(path, 0o700, 0, directory=True, target="", cut=Cut.WHOLE, chunks=iter(()))


def _file(path: str, chunks: Iterator[bytes]) -> Piece:
    paged = path.endswith(_PAGES) or _PAGED.fullmatch(path) is not None
    cut = Cut.PAGES if paged else Cut.WHOLE
    return Piece(f"{DATA}/{path}", 0o660, 0, directory=False, target="", cut=cut, chunks=chunks)


@contextmanager
def capture(
    tools_dir: Path, address: Address, attempt: Attempt, guard: Guard, rate: int | None
) -> Generator[Capture]:
    """NotSupported says what this server, this machine or this user lacks."""
    with translated(guard), connect(address) as session:
        server = facts.server(session)
        directory = data_directory(session, address)
        privileges = facts.privileges(session)
    chosen, data = _possible(tools_dir, server, directory, privileges)
    attempt.say(f"copying {data} with mariadb-backup {chosen.version}")
    locked = threading.Event()
    child = Child(_command(chosen, address, data), hear=lambda line: _heard(line, locked))
    output = ReadAhead(child.stdout.read, hurry=locked)
    release = guard.adopt(child.kill)
    try:
        with translated(guard):
            yield Capture(child, output, chosen, server, Pace(rate, guard.wait))
    finally:
        release()
        child.kill()
        output.close()
        child.close()


def _heard(line: str, locked: threading.Event) -> bool:
    """The tool says when nobody may define or commit anything; that must not last as long as a
    store takes."""
    if _LOCKS in line:
        locked.set()
    elif _UNLOCKED in line:
        locked.clear()
    return False


def _possible(
    tools_dir: Path, server: Facts, directory: Path | None, privileges: set[str]
) -> tuple[ToolSet, Path]:
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
    missing = [privilege for privilege in _NEEDS if privilege not in privileges]
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


def _command(chosen: ToolSet, address: Address, directory: Path) -> Command:
    return Command(
        [
            str(chosen.backup),
            f"--defaults-file={PRIVATE}",
            "--backup",
            "--stream=mbstream",
            "--parallel=1",
            f"--datadir={directory}",
        ],
        cwd="/",
        private=option_file(address),
    )
