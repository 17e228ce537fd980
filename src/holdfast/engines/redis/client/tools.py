"""Finds the Redis and Valkey servers of this machine, with their versions.

Searched are the PATH and Holdfast's own tools directory, which `wheels.py` fills. A server program
is its own RDB checker when it is called by that name, so every server brings a checker. Which
files a program can read is not looked up in a table of versions: it is tried.
"""

import re
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from holdfast.domain.errors import ToolMissing
from holdfast.engines.programs import closest, series, version_output
from holdfast.kit.processes.process import Command, run, which

REDIS, VALKEY = "Redis", "Valkey"
_PROGRAMS = {"redis-server": REDIS, "valkey-server": VALKEY}
_VERSION_LINE = re.compile(r"(Redis|Valkey) server v=(\d+(?:\.\d+)+)")
_SYSTEM_FOLDERS = (Path("/usr/bin"), Path("/usr/sbin"))
_OLDEST = (7, 0)
_SOUND = "looks OK! "  # a file that needs a relaxed check "looks OK, but"


@dataclass(frozen=True)
class ToolSet:
    """One server program. `origin` is system, path or holdfast."""

    version: str
    flavour: str
    directory: Path
    origin: str

    @property
    def name(self) -> str:
        return f"{self.flavour.lower()}-server"

    @property
    def server(self) -> str:
        return str(self.directory / self.name)

    @property
    def checker(self) -> str:
        return f"{self.flavour.lower()}-check-rdb"


def own_directory(tools_dir: Path) -> Path:
    """Where Holdfast installs servers: `<version>/bin` below it."""
    return tools_dir / "redis"


def installed(tools_dir: Path) -> Sequence[ToolSet]:
    """All servers, newest first; of one version the system's own come first."""
    programs: list[tuple[Path, str]] = []
    for name in _PROGRAMS:
        own_programs = sorted(own_directory(tools_dir).glob(f"[0-9]*/bin/{name}"))
        system_programs = [directory / name for directory in _SYSTEM_FOLDERS]
        programs += [(program, "system") for program in system_programs if program.is_file()]
        if (on_path := which(name)) is not None:
            programs.append((Path(on_path), "path"))
        programs += [(program, "holdfast") for program in own_programs]
    tool_sets: dict[Path, ToolSet] = {}
    for program, origin in programs:
        tools = inspect(program, origin)
        if tools is not None:
            tool_sets.setdefault(program.resolve(), tools)
    rank = {"system": 0, "path": 1, "holdfast": 2}
    return sorted(tool_sets.values(), key=lambda t: ([-part for part in parts(t)], rank[t.origin]))


def parts(tools: ToolSet) -> tuple[int, ...]:
    return tuple(int(part) for part in tools.version.split("."))


def inspect(program: Path, origin: str) -> ToolSet | None:
    """Flavour and version of a program; None when it does not run or is too old."""
    match = _VERSION_LINE.search(version_output(program, "--version"))
    if match is None:
        return None
    tools = ToolSet(match[2], match[1], program.parent, origin)
    return tools if parts(tools) >= _OLDEST else None


def server(tools_dir: Path, version: str, flavour: str | None = None) -> ToolSet:
    """Programs to run a server: this exact version such as `7.0.15`, else the same series.

    `flavour`, when known, is kept: the two share version numbers, not file formats.
    """
    able = [tool_set for tool_set in installed(tools_dir) if flavour in (None, tool_set.flavour)]
    fitting = closest(able, version)
    if fitting is None:
        raise missing(f"{flavour or 'Redis or Valkey'} {series(version)}")
    return fitting


def missing(program: str) -> ToolMissing:
    return ToolMissing(
        f"{program} is not installed here. Run: apt-get install redis-server, or "
        "holdfast tools install redis VERSION (Valkey)"
    )


def reader(tools_dir: Path, rdb_version: str) -> ToolSet | None:
    """The oldest installed server that reads files beginning with `rdb_version`."""
    able = [tool_set for tool_set in installed(tools_dir) if reads(tool_set, rdb_version)]
    return able[-1] if able else None


@cache
def reads(tools: ToolSet, rdb_version: str) -> bool:
    """Whether it accepts an empty file of this version, such as `REDIS0010` or `VALKEY080`."""
    empty = rdb_version.encode() + b"\xff" + bytes(8)
    with checker_command(tools) as command:
        finished = run(command, feed=empty, timeout=10)
    return finished.status == 0 and _SOUND in finished.stdout.decode(errors="replace")


@contextmanager
def checker_command(tools: ToolSet) -> Generator[Command]:
    """The command that checks an RDB on its standard input."""
    with tempfile.TemporaryDirectory(prefix="holdfast-") as home:
        program = Path(home) / tools.checker
        program.symlink_to(tools.server)
        yield Command([str(program), "/dev/stdin"], cwd=home)
