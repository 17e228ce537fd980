"""Finds the client and server programs on this machine, and chooses those that fit a server.

Programs are looked for in Debian's `/usr/lib/postgresql/<major>/bin`, on the PATH, and in
Holdfast's own tools directory (`wheels.py` fills it). A client must be at least as new as the
server; the closest one is chosen, so that its archives stay readable to the server's own major.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from holdfast.domain.errors import ToolMissing
from holdfast.kit.processes.process import Command, run, which

MAJORS = (14, 15, 16, 17, 18)
_DEBIAN = Path("/usr/lib/postgresql")
_CLIENTS = ("pg_dump", "pg_dumpall", "pg_restore")
_SERVERS = ("postgres", "initdb")
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)(?:\.(\d+))?")


@dataclass(frozen=True)
class ToolSet:
    """Programs of one exact version in one directory. `origin` is system, path or holdfast."""

    major: int
    version: str
    directory: Path
    origin: str
    server: bool

    def program(self, name: str) -> str:
        return str(self.directory / name)

    @property
    def environment(self) -> Mapping[str, str]:
        """The library path that servers from wheels need.

        They were built for another directory, and without it extensions would load the system's
        libpq, of any version.
        """
        libraries = self.directory.parent / "lib"
        return {"LD_LIBRARY_PATH": str(libraries)} if self.origin == "holdfast" else {}


def own_directory(tools_dir: Path) -> Path:
    """The directory that Holdfast unpacks PostgreSQL into: `<own>/<version>/bin`."""
    return tools_dir / "postgresql"


def installed(tools_dir: Path) -> Sequence[ToolSet]:
    """All tool sets, newest first; of one major, the system's own come first."""
    directories = [
        *((directory, "system") for directory in sorted(_DEBIAN.glob("*/bin"))),
        *(
            (directory, "holdfast")
            for directory in sorted(own_directory(tools_dir).glob("[0-9]*/bin"))
        ),
    ]
    on_path = which("pg_dump")
    # Debian's pg_dump on the PATH is a wrapper that chooses by cluster; its real ones are above.
    if on_path is not None and Path(on_path).resolve().name == "pg_dump":
        directories.append((Path(on_path).resolve().parent, "path"))
    by_directory: dict[Path, ToolSet] = {}
    for directory, origin in directories:
        tools = inspect(directory, origin)
        if tools is not None and directory.resolve() not in by_directory:
            by_directory[directory.resolve()] = tools
    rank = {"system": 0, "path": 1, "holdfast": 2}

    def order(tools: ToolSet) -> tuple[int, int, list[int]]:
        release = [-int(part) for part in tools.version.split(".")]
        return -tools.major, rank[tools.origin], release

    return sorted(by_directory.values(), key=order)


def inspect(directory: Path, origin: str) -> ToolSet | None:
    """The programs in this directory, or None when it lacks a client program or they do not run."""
    if not all((directory / name).is_file() for name in _CLIENTS):
        return None
    program = directory / "pg_dump"
    match = _VERSION.search(_version_output(program, program.stat().st_mtime_ns))
    if match is None:
        return None
    version = match[1] if match[2] is None else f"{match[1]}.{match[2]}"
    server = all((directory / name).is_file() for name in _SERVERS)
    return ToolSet(int(match[1]), version, directory, origin, server)


@cache
def _version_output(program: Path, changed: int) -> str:  # noqa: ARG001 - part of the cache key
    finished = run(Command([str(program), "--version"]), timeout=10)
    return finished.stdout.decode(errors="replace") if finished.status == 0 else ""


def choose(tools_dir: Path, server_major: int, *, archive_major: int = 0) -> ToolSet:
    """The client closest to the server that can also read an archive of `archive_major`."""
    major = max(server_major, archive_major)
    candidates = [tools for tools in installed(tools_dir) if tools.major >= major]
    if not candidates:
        raise missing_tools(major)
    closest = min(tools.major for tools in candidates)
    return next(tools for tools in candidates if tools.major == closest)


def newest(tools_dir: Path) -> ToolSet:
    """The newest tool set: it reads every archive an older one wrote."""
    everything = installed(tools_dir)
    if not everything:
        raise missing_tools(MAJORS[-1])
    return everything[0]


def server(tools_dir: Path, version: str) -> ToolSet:
    """Programs to run a server: this exact version such as `17.11`, else the same major."""
    candidates = [tools for tools in installed(tools_dir) if tools.server]
    major = int(version.partition(".")[0])
    exact = [tools for tools in candidates if tools.version == version]
    same = [tools for tools in candidates if tools.major == major]
    if not exact and not same:
        raise missing_tools(major)
    return (exact or same)[0]


def missing_tools(major: int) -> ToolMissing:
    ways = f"apt-get install postgresql-client-{major}"
    if major in MAJORS:
        ways = f"holdfast tools install postgresql {major}, or {ways}"
    return ToolMissing(
        f"PostgreSQL {major} needs client tools of version {major} or newer. Run: {ways}"
    )
