"""Finds the MongoDB servers of this machine, with their versions.

Searched are the PATH, the system's folders and Holdfast's own tools directory, which `wheels.py`
fills. No stock client is needed: dumps and restores are our own work.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.domain.errors import ToolMissing
from holdfast.engines.programs import closest, series, version_output
from holdfast.kit.processes.process import which

PROGRAM = "mongod"
REMEDY = "holdfast tools install mongodb 6.0, or MongoDB's own packages (mongodb-org-server)"
_VERSION_LINE = re.compile(r"db version v(\d+\.\d+\.\d+)")
_SYSTEM_FOLDERS = (Path("/usr/bin"), Path("/usr/sbin"), Path("/usr/local/bin"))
_OLDEST = (4, 4)
"""The oldest server that pymongo 4.20 speaks to."""
UPGRADES = {"5.0": "4.4", "6.0": "5.0", "7.0": "6.0", "8.0": "7.0"}
"""Which other series' data files a server starts on: the one before its own, by its own word."""


@dataclass(frozen=True)
class ToolSet:
    """One server program. `origin` is system, path or holdfast."""

    version: str
    directory: Path
    origin: str

    @property
    def server(self) -> str:
        return str(self.directory / PROGRAM)

    @property
    def homes(self) -> tuple[Path, ...]:
        """What a server must see of the machine: its program and libraries."""
        return (self.directory.parent if self.origin == "holdfast" else self.directory,)


def own_directory(tools_dir: Path) -> Path:
    """Where Holdfast installs servers: `<version>/bin` below it."""
    return tools_dir / "mongodb"


def installed(tools_dir: Path) -> Sequence[ToolSet]:
    """All servers, newest first; of one version the system's own come first."""
    tool_sets: dict[Path, ToolSet] = {}
    for program, origin in _programs(tools_dir):
        tool_set = inspect(program, origin)
        if tool_set is not None:
            tool_sets.setdefault(program.resolve(), tool_set)
    rank = {"system": 0, "path": 1, "holdfast": 2}
    return sorted(
        tool_sets.values(),
        key=lambda t: ([-part for part in version_parts(t.version)], rank[t.origin]),
    )


def _programs(tools_dir: Path) -> Iterator[tuple[Path, str]]:
    for directory in _SYSTEM_FOLDERS:
        if (directory / PROGRAM).is_file():
            yield directory / PROGRAM, "system"
    on_path = which(PROGRAM)
    if on_path is not None:
        yield Path(on_path), "path"
    for program in sorted(own_directory(tools_dir).glob(f"[0-9]*/bin/{PROGRAM}")):
        yield program, "holdfast"


def inspect(program: Path, origin: str) -> ToolSet | None:
    """The version of a program; None when it does not run or is too old."""
    match = _VERSION_LINE.search(version_output(program, "--version"))
    if match is None or version_parts(match[1])[:2] < _OLDEST:
        return None
    return ToolSet(match[1], program.parent, origin)


def version_parts(version: str) -> tuple[int, ...]:
    """Numbers of `6.0.5`, which compare as versions do; of `6.0.5-rc1` the first three."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def server(tools_dir: Path, version: str) -> ToolSet:
    """Programs to run a server: this exact version such as `6.0.5`, else the same series."""
    fitting = closest(installed(tools_dir), version)
    if fitting is None:
        raise ToolMissing(f"MongoDB {series(version)} is not installed here. Run: {REMEDY}")
    return fitting
