"""Finds the client and server programs of this machine, and those that fit a server.

Searched are the PATH (Debian's packages) and Holdfast's own tools directory. A program's flavour
comes from its own version output: a `mysqldump` may be MariaDB's.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.domain.errors import ToolMissing
from holdfast.engines.programs import closest, series, version_output
from holdfast.kit.processes.process import which

MARIADB, MYSQL = "MariaDB", "MySQL"
OLDEST = {MARIADB: (10, 6), MYSQL: (8, 0)}
"""Since these versions renaming tables is atomic, also when the server crashes."""

_DUMPERS = ("mariadb-dump", "mysqldump")
_SERVERS = ("mariadbd", "mysqld")
_SYSTEM_FOLDERS = ("/usr/bin", "/usr/sbin", "/usr/libexec")
_MARIADB_VERSION = re.compile(r"(?:Distrib |from |Ver )(\d+\.\d+\.\d+)-MariaDB")
_MYSQL_VERSION = re.compile(r"Ver (\d+\.\d+\.\d+)")


@dataclass(frozen=True)
class ToolSet:
    """Programs of one version; `server` and `backup` are None when missing."""

    flavour: str
    version: str
    origin: str
    dump: Path
    server: Path | None
    backup: Path | None

    @property
    def directory(self) -> Path:
        return self.dump.parent

    @property
    def homes(self) -> tuple[Path, ...]:
        """Directories of the server's programs and libraries."""
        return () if self.server is None else (self.server.parent, self.server.parents[1] / "lib")

    @property
    def series(self) -> str:
        return series(self.version)

    def companion(self, name: str) -> str:
        """The path of another program of this version, such as `mariadb-install-db`."""
        for folder in (self.dump.parent, *([self.server.parent] if self.server else [])):
            if (folder / name).is_file():
                return str(folder / name)
        raise ToolMissing(f"{name} is not installed")


def version_parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def installed(tools_dir: Path) -> Sequence[ToolSet]:
    """All tool sets of this machine, newest first."""
    origins = [([Path(directory) for directory in _SYSTEM_FOLDERS], "system")]
    on_path = next((program for name in _DUMPERS if (program := which(name))), None)
    if on_path is not None:
        origins.append(([Path(on_path).parent], "path"))
    own_folders = sorted((tools_dir / "mysql").glob("[0-9]*/bin"))
    origins += [([folder], "holdfast") for folder in own_folders]
    tool_sets: dict[tuple[str, str], ToolSet] = {}
    for folders, origin in origins:
        for tools in _tool_sets(folders, origin):
            tool_sets.setdefault((tools.flavour, tools.version), tools)
    return sorted(tool_sets.values(), key=lambda tools: version_parts(tools.version), reverse=True)


def _tool_sets(folders: list[Path], origin: str) -> Iterator[ToolSet]:
    """One set per version of a dump program; a server beside it must be of the same version."""
    for name in _DUMPERS:
        program = next((f / name for f in folders if (f / name).is_file()), None)
        identity = None if program is None else identify(program)
        if program is None or identity is None:
            continue
        servers = (
            f / server_name
            for server_name in _SERVERS
            for f in folders
            if (f / server_name).is_file()
        )
        yield ToolSet(
            *identity,
            origin,
            program,
            next((server for server in servers if identify(server) == identity), None),
            next((b for f in folders if (b := f / "mariadb-backup").is_file()), None)
            if identity[0] == MARIADB
            else None,
        )


def identify(program: Path) -> tuple[str, str] | None:
    """Flavour and version of a program; None when it does not run or is something else."""
    text = version_output(program, "--no-defaults", "--version")
    match = _MARIADB_VERSION.search(text)
    if match is not None:
        return MARIADB, match[1]
    match = _MYSQL_VERSION.search(text)
    return None if match is None or "MariaDB" in text else (MYSQL, match[1])


def choose(tools_dir: Path, flavour: str, version: str) -> ToolSet:
    """The client for a server: its own flavour, its series or newer, the closest.

    An older MariaDB client may also dump a MariaDB server: its statements did not change.
    """
    able = [tools for tools in installed(tools_dir) if tools.flavour == flavour]
    same = [
        tools for tools in able if version_parts(tools.version)[:2] >= version_parts(version)[:2]
    ]
    if flavour == MARIADB and not same:
        same = able[:1]
    if not same:
        raise missing(flavour, version)
    return same[-1]


def server(tools_dir: Path, version: str) -> ToolSet:
    """Programs to run a server: this exact version, else the same series."""
    able = [tools for tools in installed(tools_dir) if tools.server is not None]
    fitting = closest(able, version)
    if fitting is None:
        raise ToolMissing(f"there is no server of series {series(version)} on this machine")
    return fitting


def missing(flavour: str, version: str) -> ToolMissing:
    package = "mariadb-client" if flavour == MARIADB else "mysql-client"
    return ToolMissing(
        f"{flavour} {version} needs a client of {flavour} {series(version)} or newer."
        f" Run: apt-get install {package}"
    )
