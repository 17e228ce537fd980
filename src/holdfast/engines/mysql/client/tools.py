"""Which client and server programs this machine has, and which fit a server.

Two places are looked at: the PATH (Debian's packages) and Holdfast's own tools directory. What a
program is it says itself: a `mysqldump` may be MariaDB's.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from holdfast.domain.errors import ToolMissing
from holdfast.kit.processes.process import Command, run, which

MARIADB, MYSQL = "MariaDB", "MySQL"
OLDEST = {MARIADB: (10, 6), MYSQL: (8, 0)}
"""Since these, renaming tables is atomic, also when the server crashes."""

_DUMPERS = ("mariadb-dump", "mysqldump")
_SERVERS = ("mariadbd", "mysqld")
_PLACES = ("/usr/bin", "/usr/sbin", "/usr/libexec")
_MARIADB = re.compile(r"(?:Distrib |from |Ver )(\d+\.\d+\.\d+)-MariaDB")
_MYSQL = re.compile(r"Ver (\d+\.\d+\.\d+)")


@dataclass(frozen=True)
class ToolSet:
    """Programs of one version. `server`, `backup`: None when they are not there."""

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
        """Where the server's programs and libraries are."""
        return () if self.server is None else (self.server.parent, self.server.parents[1] / "lib")

    @property
    def series(self) -> str:
        return series(self.version)

    def beside(self, name: str) -> str:
        """Another program that came with the server, such as `mariadb-install-db`."""
        for folder in (self.dump.parent, *([self.server.parent] if self.server else [])):
            if (folder / name).is_file():
                return str(folder / name)
        raise ToolMissing(f"{name} is not installed")


def series(version: str) -> str:
    """`10.11.6` to `10.11`."""
    return ".".join(version.split(".")[:2])


def parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def installed(tools_dir: Path) -> Sequence[ToolSet]:
    """Newest first."""
    tool_sets: dict[tuple[str, str], ToolSet] = {}
    for folders, origin in _places(tools_dir):
        for tools in _sets(folders, origin):
            tool_sets.setdefault((tools.flavour, tools.version), tools)
    return sorted(tool_sets.values(), key=lambda tools: parts(tools.version), reverse=True)


def _places(tools_dir: Path) -> Iterator[tuple[list[Path], str]]:
    yield [Path(directory) for directory in _PLACES], "system"
    on_path = next((program for name in _DUMPERS if (program := which(name))), None)
    if on_path is not None:
        yield [Path(on_path).parent], "path"
    for folder in sorted((tools_dir / "mysql").glob("[0-9]*/bin")):
        yield [folder], "holdfast"


def _sets(folders: list[Path], origin: str) -> Iterator[ToolSet]:
    """A set for each version of a dump program; the server beside it has to be of the same."""
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
    """Flavour and version, or None when it does not run or is something else."""
    try:
        return _identify(_said(program, program.stat().st_mtime_ns))
    except OSError:
        return None


def _identify(text: str) -> tuple[str, str] | None:
    match = _MARIADB.search(text)
    if match is not None:
        return MARIADB, match[1]
    match = _MYSQL.search(text)
    return None if match is None or "MariaDB" in text else (MYSQL, match[1])


@cache
def _said(program: Path, changed: int) -> str:  # noqa: ARG001 - another file, another answer
    finished = run(Command([str(program), "--no-defaults", "--version"]), timeout=20)
    return finished.stdout.decode(errors="replace") if finished.status == 0 else ""


def choose(tools_dir: Path, flavour: str, version: str) -> ToolSet:
    """The client for a server: of its own flavour, of its series or newer, the closest.

    A MariaDB server may also be dumped by an older series: the statements it uses did not change.
    """
    able = [tools for tools in installed(tools_dir) if tools.flavour == flavour]
    same = [tools for tools in able if parts(tools.version)[:2] >= parts(version)[:2]]
    if flavour == MARIADB and not same:
        same = able[:1]
    if not same:
        raise missing(flavour, version)
    return same[-1]


def server(tools_dir: Path, version: str) -> ToolSet:
    """Programs to run a server: this exact version, else the same series."""
    able = [tools for tools in installed(tools_dir) if tools.server is not None]
    exact = [tools for tools in able if tools.version == version]
    same = [tools for tools in able if tools.series == series(version)]
    if not exact and not same:
        raise ToolMissing(f"there is no server of series {series(version)} on this machine")
    return (exact or same)[0]


def missing(flavour: str, version: str) -> ToolMissing:
    package = "mariadb-client" if flavour == MARIADB else "mysql-client"
    return ToolMissing(
        f"{flavour} {version} needs a client of {flavour} {series(version)} or newer."
        f" Run: apt-get install {package}"
    )
